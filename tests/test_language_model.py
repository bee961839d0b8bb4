from dataclasses import replace

import numpy as np
import pytest
import torch

from ulmfit_lib import LanguageModel, fit_lm, pretrain
from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.artifact.cards import Card
from ulmfit_lib.errors import DataError, OptionError, TrainingError
from ulmfit_lib.models.dropouts import Dropouts
from ulmfit_lib.models.tensors import exchange_words
from ulmfit_lib.stages.fit_lm import FINE_TUNE
from ulmfit_lib.stages.pretrain import LanguageModelConfig
from ulmfit_lib.tokens.vocabulary import Vocabulary
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.learner import History
from ulmfit_lib.training.run import Run


def test_pretraining_learns(tiny_lm):
    for rows in tiny_lm.training.stages[0].history.values():
        assert rows[-1]["valid_loss"] < rows[0]["valid_loss"] < np.log(len(tiny_lm.vocabulary))


def test_perplexity_agrees_with_fastais_own_model(tiny_lm, reviews):
    """The same weights in fastai's language model give the same losses."""
    from fastai.text.models.awdlstm import AWD_LSTM, awd_lstm_lm_config
    from fastai.text.models.core import get_language_model

    size = tiny_lm.architecture
    config = awd_lstm_lm_config | {"emb_sz": size.embedding, "n_hid": size.hidden, "n_layers": size.layers}
    theirs = get_language_model(AWD_LSTM, len(tiny_lm.vocabulary), config, drop_mult=0).eval()
    weights = tiny_lm.weights["forward"]
    theirs[0].encoder.weight.data.copy_(weights["encoder.weight"])
    theirs[1].decoder.bias.data.copy_(weights["decoder.bias"])
    for layer, rnn in enumerate(theirs[0].rnns):
        rnn.weight_hh_l0_raw.data.copy_(weights[f"rnns.{layer}.weight_hh"])
        for name in ("weight_ih", "bias_ih", "bias_hh"):
            getattr(rnn.module, f"{name}_l0").data.copy_(weights[f"rnns.{layer}.{name}"])
    ids = torch.randint(len(tiny_lm.vocabulary), (1, 30))
    ours = tiny_lm.net("forward")
    torch.testing.assert_close(ours.logits(ours(ids)), theirs(ids)[0], atol=1e-5, rtol=1e-5)


def test_a_saved_model_is_the_same_model(tiny_lm, reviews, tmp_path):
    tiny_lm.save(tmp_path / "lm")
    again = LanguageModel.load(tmp_path / "lm")
    assert again.sha256() == tiny_lm.sha256()
    assert again.perplexity(reviews.texts[:20]) == tiny_lm.perplexity(reviews.texts[:20])
    assert (tmp_path / "lm" / "README.md").read_text().startswith("# tiny")


def test_int8_is_a_quarter_of_the_size_and_nearly_as_good(tiny_lm, reviews, tmp_path):
    tiny_lm.save(tmp_path / "full")
    tiny_lm.save(tmp_path / "small", precision="int8")
    full, small = (LanguageModel.load(tmp_path / name).perplexity(reviews.texts[:50]) for name in ("full", "small"))
    assert small == pytest.approx(full, rel=0.02)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("full", "small")]
    assert sizes[1] < 0.45 * sizes[0]


def test_a_texts_perplexity_does_not_depend_on_the_texts_beside_it(tiny_lm, reviews):
    texts = reviews.texts[:12]
    scores = [tiny_lm.score([text]) for text in texts]
    nats = sum(np.log(s.perplexity) * s.tokens for s in scores) / sum(s.tokens for s in scores)
    assert tiny_lm.perplexity(texts) == pytest.approx(np.exp(nats), rel=1e-4)


def test_generation_is_seeded_and_bounded(tiny_lm):
    first = tiny_lm.generate("The film", max_tokens=20, seed=1)
    assert first == tiny_lm.generate("The film", max_tokens=20, seed=1)
    assert first.startswith("The film")
    greedy = {tiny_lm.generate("The", max_tokens=5, temperature=0, seed=s) for s in range(3)}
    assert greedy == {tiny_lm.generate("The", max_tokens=5, top_k=1, seed=9)}
    with pytest.raises(OptionError, match="top_p"):
        tiny_lm.generate("The", top_p=0)


def test_new_words_start_from_the_mean_and_old_ones_keep_their_rows(tiny_lm):
    old = tiny_lm.weights["forward"]
    known = tiny_lm.vocabulary
    new = exchange_words(old, known, Vocabulary([*known.tokens, "zeppelin", "yurt", "xylem"]))
    n = len(tiny_lm.vocabulary)
    assert torch.equal(new["encoder.weight"][:n], old["encoder.weight"])
    torch.testing.assert_close(new["encoder.weight"][n + 2], old["encoder.weight"].mean(0))
    torch.testing.assert_close(new["decoder.bias"][n], old["decoder.bias"].mean())


@pytest.mark.slow
def test_fine_tuning_fits_the_texts_and_leaves_its_base_alone(tiny_lm):
    texts = [f"the zebra number {i} ate the quince and the quince was good" for i in range(60)]
    before = tiny_lm.sha256()
    recipe = replace(FINE_TUNE, lr=2e-2, tied_share=1.0, dropouts=Dropouts(), patience=0)
    fitted = fit_lm(texts, base=tiny_lm, epochs=8, recipe=recipe, run=Run(device="cpu"))
    assert tiny_lm.sha256() == before == fitted.base["sha256"]
    assert "zebra" in fitted.vocabulary.index and fitted.vocabulary.tokens[: len(tiny_lm.vocabulary)] == (
        tiny_lm.vocabulary.tokens
    )
    losses = [row["valid_loss"] for row in fitted.training.stages[-1].history["forward"]]
    assert losses[-1] < losses[0] - 0.5
    assert [stage.name for stage in fitted.training.stages] == ["pretrain", "fine-tune"]


def test_the_best_epoch_is_kept(tiny_lm, reviews):
    recipe = replace(FINE_TUNE, frozen_epochs=0, epochs=4, lr=0.5, patience=0, clip=0)  # far too fast on purpose
    fitted = fit_lm(reviews.texts[:80], base=tiny_lm.only("forward"), recipe=recipe, run=Run(device="cpu"))
    stage = fitted.training.stages[-1]
    losses = [row["valid_loss"] for row in stage.history["forward"]]
    measured = np.log(stage.validation.perplexity)
    assert abs(measured - min(losses)) < 0.5 * max(1.0, max(losses) - min(losses))


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights(reviews, tiny_recipe):
    def run(seed):
        from ulmfit_lib.artifact.architecture import Architecture

        return pretrain(
            reviews.texts[:60],
            recipe=tiny_recipe,
            run=Run(seed=seed, device="cpu"),
            config=LanguageModelConfig(architecture=Architecture(8, 8, 1)),
        ).sha256()

    assert run(1) == run(1) != run(2)


@pytest.mark.slow
def test_a_stopped_run_ends_with_the_weights_of_an_undisturbed_one(
    reviews, tiny_recipe, tmp_path, killed_often, monkeypatch
):
    from ulmfit_lib.artifact.architecture import Architecture

    progress, watch = set(), History._watch

    def note_progress(self, loss):
        progress.add(self.learn.pct_train)
        watch(self, loss)

    monkeypatch.setattr(History, "_watch", note_progress)

    def run(checkpoints):
        return pretrain(
            reviews.texts[:120],
            recipe=replace(tiny_recipe, window=8),
            run=Run(seed=1, device="cpu", checkpoints=checkpoints),
            config=LanguageModelConfig(architecture=Architecture(8, 8, 1)),
        ).sha256()

    undisturbed, steps = run(None), set(progress)
    kills, resumed = killed_often(lambda: run(Checkpoints(tmp_path / "checkpoints")))
    assert kills >= 3 and resumed == undisturbed
    assert progress == steps  # to the last bit, or rates differ once in a while


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_refused(tiny_lm, tmp_path, reviews):
    def run(texts=reviews.texts[:60], seed=42, **changed):
        run = Run(seed=seed, device="cpu", checkpoints=Checkpoints(tmp_path))
        return fit_lm(texts, base=tiny_lm.only("forward"), run=run, **changed)

    first = run(epochs=1).sha256()
    assert run(epochs=1).sha256() == first  # it was finished already
    for changed, said in [
        ({"lr": 0.001}, "lr was 0.004, and is 0.001"),
        ({"seed": 7}, "seed was 42, and is 7"),
        ({"texts": reviews.texts[60:120]}, "the text was "),
    ]:
        with pytest.raises(TrainingError, match=f"^{tmp_path}.*{said}.*--restart begins anew"):
            run(**{"epochs": 1, **changed})
    file = next(tmp_path.rglob("*.pt"))
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(TrainingError, match="cannot be read; --restart"):
        run(epochs=1)


@pytest.mark.parametrize("direction", ["sideways", "backward"])
def test_a_direction_that_is_not_there_is_named(tiny_lm, direction):
    forward = replace(tiny_lm, weights={"forward": tiny_lm.weights["forward"]})
    with pytest.raises(OptionError, match=direction):
        fit_lm(["a text", "another"], base=forward.only(direction))


def test_too_few_texts_are_named(tiny_lm):
    with pytest.raises(DataError, match="got 1"):
        fit_lm(["one"], base=tiny_lm)
    with pytest.raises(DataError, match="at least one word"):
        tiny_lm.perplexity(["", " "])


def test_subword_models_train_too(tiny_recipe, reviews):
    from ulmfit_lib.artifact.architecture import Architecture

    model = pretrain(
        reviews.texts[:100],
        recipe=tiny_recipe,
        run=Run(device="cpu"),
        config=LanguageModelConfig(architecture=Architecture(8, 8, 1), tokens="subwords", vocab_size=300),
    )
    assert model.score(reviews.texts[100:120]).unknown_share < 0.02


def test_pretraining_goes_on_from_a_base_and_adds_its_commonest_new_words(tiny_lm, tiny_recipe):
    texts = [f"the zebra and quince number {i % 7} met the quagga" for i in range(60)]
    size = len(tiny_lm.vocabulary) + 2
    model = pretrain(
        texts,
        base=tiny_lm,
        recipe=tiny_recipe,
        run=Run(device="cpu"),
        config=LanguageModelConfig(vocab_size=size, direction="forward"),
    )
    assert len(model.vocabulary) == size
    assert model.vocabulary.tokens[: len(tiny_lm.vocabulary)] == tiny_lm.vocabulary.tokens
    assert model.base == {"name": "tiny", "sha256": tiny_lm.sha256()} and model.direction == "forward"
    losses = [row["valid_loss"] for row in model.training.stages[-1].history["forward"]]
    assert losses[-1] < losses[0]
    assert [stage.name for stage in model.training.stages] == ["pretrain", "pretrain"]


def test_each_texts_perplexity_adds_up_to_the_score(tiny_lm, reviews):
    texts = ["", *reviews.texts[:20]]
    score, each = tiny_lm.score_each(texts)
    words = np.array([len(text.split()) for text in texts])
    assert np.isnan(each[0])
    assert np.exp((np.log(each[1:]) * words[1:]).sum() / words.sum()) == pytest.approx(score.perplexity_per_word)


def test_a_model_settles_device_and_direction_when_it_is_loaded(tiny_lm, tmp_path):
    tiny_lm.save(tmp_path / "lm")
    loaded = LanguageModel.from_pretrained(tmp_path / "lm", direction="backward", device="cpu")
    assert loaded.direction == "backward" and loaded.device == "cpu"
    vectors = loaded.embed(["a text"])
    np.testing.assert_array_equal(tiny_lm.only("backward").embed(["a text"]), vectors)
    assert tiny_lm.to("cpu").score(["a text"]) == tiny_lm.score(["a text"])
    with pytest.raises(OptionError, match="device 'magic'"):
        tiny_lm.to("magic")
    with pytest.raises(OptionError, match="direction 'sideways'"):
        LanguageModel.from_pretrained(tmp_path / "lm", direction="sideways")


def test_what_pretraining_makes_is_said_by_a_config_and_a_card(reviews, tiny_recipe):
    config = LanguageModelConfig(Architecture(4, 6, 1), vocab_size=40, direction="backward")
    nothing = replace(tiny_recipe, epochs=0)
    card, run = Card("mine", source="reviews", licence="MIT"), Run(seed=3, device="cpu")
    model = pretrain(reviews.texts[:40], config=config, recipe=nothing, card=card, run=run)
    assert len(model.vocabulary) == 40 and model.direction == "backward" and model.architecture == config.architecture
    assert (model.training.name, model.training.licence, model.training.last.source) == ("mine", "MIT", "reviews")
