"""A language model that is taught what texts mean, by a teacher that a test can see through."""

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from ulmfit_lib import LanguageModel, TextClassifier, fit_classifier, fit_lm
from ulmfit_lib.artifact.architecture import PAD_ID
from ulmfit_lib.errors import ArtifactError, DataError, OptionError, TrainingError
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.models.awd_lstm import LanguageModelNet, copy_weights
from ulmfit_lib.models.tensors import exchange_words
from ulmfit_lib.pipeline.candidates import Candidate, cross_validate
from ulmfit_lib.pipeline.out_of_fold import stratified_folds
from ulmfit_lib.serving.distilled_vectors import WordMeans
from ulmfit_lib.serving.predictor import Predictor
from ulmfit_lib.stages.distill import distill, solve_projection
from ulmfit_lib.tokens.corpus import tokenize_corpus
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.distillation_recipe import ContextRecipe, DistillationRecipe, WordVectorRecipe
from ulmfit_lib.training.distilling import DistillationNet
from ulmfit_lib.training.heads import fit_head
from ulmfit_lib.training.joint_targets import JointTargets
from ulmfit_lib.training.learner import History
from ulmfit_lib.training.recipes import CPU
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.teachers import find_teacher, teacher_vectors
from ulmfit_lib.training.writings import misspell, write_otherwise

WIDTH = 8
CONTEXT = ContextRecipe(blocks=2, epochs=2, lr=3e-3, batch_size=32)
WORDS = WordVectorRecipe(width=6, epochs=3, lr=1e-2, batch_size=32, context=CONTEXT)
RECIPE = DistillationRecipe(
    width=WIDTH, word_vectors=WORDS, epochs=4, lr=1e-2, projection_share=0.3, batch_size=16, samples=64
)


class BagTeacher:
    """Counts words by the sum of their letters: texts of the same words have the same vector."""

    name = "a bag of words"

    def __init__(self):
        self.asked = 0

    def fingerprint(self):
        return "bag"

    def encode(self, texts):
        self.asked += len(texts)
        vectors = np.full((len(texts), WIDTH), 1e-3, np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in text.lower().split():
                row[sum(map(ord, word)) % WIDTH] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def taught(tiny_lm, reviews):
    return distill(reviews.texts, base=tiny_lm, teachers=[BagTeacher()], recipe=RECIPE, run=Run(seed=1, device="cpu"))


def test_distilled_vectors_come_close_to_the_teachers_joint_ones(taught, reviews):
    vectors = teacher_vectors(reviews.texts, BagTeacher())
    targets = JointTargets.fit([vectors], WIDTH).join([vectors]).astype(np.float32)
    for way in ("forward", "backward"):
        assert (taught.only(way).embed(reviews.texts, pooling="distilled") * targets).sum(1).mean() > 0.3


def test_the_record_says_how_close_each_teacher_is(taught):
    cosines = taught.training.last.cosines
    assert set(cosines) == {"forward", "backward"}
    assert 0.83 < cosines["forward"]["a bag of words"] <= 1


def test_joint_cosines_are_the_mean_of_the_teachers_own():
    rng = np.random.default_rng(0)
    vectors = [rng.normal(size=(300, width)) for width in (6, 9)]
    vectors = [(one / np.linalg.norm(one, axis=1, keepdims=True)).astype(np.float16) for one in vectors]
    joined = JointTargets.fit(vectors, 15).join(vectors).astype(np.float32)
    own = [one.astype(np.float32) - one.astype(np.float32).mean(0) for one in vectors]
    own = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in own]
    np.testing.assert_allclose(joined @ joined.T, (own[0] @ own[0].T + own[1] @ own[1].T) / 2, atol=5e-3)


def test_emphasis_makes_strong_components_longer_and_turns_none():
    vectors = np.random.default_rng(0).normal(size=(300, 8)) * np.arange(1, 9)
    vectors = [(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)]
    plain, strong = (JointTargets.fit(vectors, 8, emphasis=one) for one in (0, 1))
    spread = plain.join(vectors).astype(np.float32).std(0)
    np.testing.assert_allclose(strong.basis, plain.basis * strong.emphasis, atol=1e-6)
    np.testing.assert_allclose(strong.emphasis, spread / spread[0], rtol=0.02)
    np.testing.assert_array_equal(plain.emphasis, 1)


def test_word_vectors_of_both_directions_are_stored_once(taught, tmp_path):
    taught.save(tmp_path / "lm", precision="int8")
    with safe_open(tmp_path / "lm" / "model.safetensors", "numpy") as stored:
        names = set(stored.keys())
    assert {"words.weight", "words.context.1.narrow.weight"} < names and "forward.words.weight" not in names
    loaded = LanguageModel.load(tmp_path / "lm")
    assert torch.equal(loaded.weights["forward"]["words.weight"], loaded.weights["backward"]["words.weight"])


def test_a_new_word_counts_in_a_distilled_vector_as_unknown_ones_do(taught, tiny_recipe):
    texts = ["the zeppelin is a zeppelin and the film is a film"] * 30
    read = fit_lm(texts, base=taught, recipe=replace(tiny_recipe, epochs=1), run=Run(device="cpu"))
    rows, index = read.weights["forward"]["words.weight"], read.vocabulary.index
    assert torch.equal(rows[index["zeppelin"]], rows[read.vocabulary.unknown_id])


def test_distillation_goes_on_from_the_word_vectors_of_a_distilled_base(taught, reviews):
    texts = [*reviews.texts[:60], *["the zeppelin is a zeppelin and the film is a film"] * 5]
    recipe = replace(
        RECIPE, epochs=0, vocab_size=len(taught.vocabulary) + 1, word_vectors=replace(WORDS, from_base=True)
    )
    again = distill(texts, base=taught, teachers=[BagTeacher()], recipe=recipe, run=Run(seed=1, device="cpu"))
    assert again.architecture.context == 2
    ways, index = again.weights, again.vocabulary.index
    assert torch.equal(ways["forward"]["near.0"], ways["backward"]["near.0"].flip(1))
    words = ways["forward"]["words.weight"]
    assert not torch.allclose(words[index["zeppelin"]], words[again.vocabulary.unknown_id])
    vectors = teacher_vectors(texts, BagTeacher())
    targets = JointTargets.fit([vectors], WIDTH).join([vectors]).astype(np.float32)
    assert (again.only("forward").embed(texts, pooling="distilled") * targets).sum(1).mean() > 0.3


def test_embeddings_have_length_one_and_do_not_depend_on_their_neighbours(taught, reviews):
    texts = list(reviews.texts[:12])
    for pooling, width in (("words", WIDTH), (None, 2 * WIDTH)):  # its encoder has learned, too
        together = taught.embed(texts, pooling=pooling)
        assert together.shape == (12, width)
        np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(taught.embed(texts[5:6], pooling=pooling), together[5:6], atol=1e-4)


def test_a_taught_model_survives_saving(taught, tmp_path):
    taught.save(tmp_path / "lm")
    loaded = LanguageModel.load(tmp_path / "lm")
    assert loaded.sha256() == taught.sha256()
    assert loaded.architecture.distilled == WIDTH
    assert json.loads((tmp_path / "lm" / "config.json").read_text())["format_version"] == 10


def test_an_untaught_model_is_written_as_before(tiny_lm, tmp_path):
    tiny_lm.save(tmp_path / "lm")
    config = json.loads((tmp_path / "lm" / "config.json").read_text())
    assert config["format_version"] == 2
    assert set(config["architecture"]) == {"name", "embedding", "hidden", "layers"}


@pytest.mark.parametrize("width", [-1, 2**16, "384"])
def test_a_taught_width_that_makes_no_sense_is_refused(taught, tmp_path, width):
    taught.save(tmp_path / "lm")
    file = tmp_path / "lm" / "config.json"
    config = json.loads(file.read_text())
    config["architecture"]["distilled"] = width
    file.write_text(json.dumps(config))
    with pytest.raises(ArtifactError, match="architecture's distilled"):
        LanguageModel.load(tmp_path / "lm")


def test_the_card_names_the_teacher(taught, tmp_path):
    taught.save(tmp_path / "lm")
    assert "teacher: a bag of words" in (tmp_path / "lm" / "README.md").read_text()


def test_a_taught_model_goes_on_reading_and_keeps_its_map(taught, reviews, tiny_recipe):
    read = fit_lm(reviews.texts[:60], base=taught, recipe=replace(tiny_recipe, epochs=1), run=Run(device="cpu"))
    assert read.architecture.distilled == WIDTH
    assert torch.equal(read.weights["forward"]["map.weight"], taught.weights["forward"]["map.weight"])
    assert read.perplexity(reviews.texts[:20]) > 1


@pytest.mark.parametrize("strategy", ["linear-probe", "fine-tune"])
def test_a_classifier_on_a_taught_model_predicts_the_same_after_saving(taught, fruit, strategy, tmp_path):
    recipe = replace(CPU.fit_classifier, epochs=1, head_hidden=8)
    classifier = fit_classifier(fruit, lm=taught, strategy=strategy, recipe=recipe, run=Run(device="cpu"))
    assert classifier.pooling == f"distilled+{'layers' if strategy == 'linear-probe' else 'all'}"
    classifier.save(tmp_path / "model")
    loaded = TextClassifier.load(tmp_path / "model")
    np.testing.assert_allclose(loaded.predict_proba(fruit.texts), classifier.predict_proba(fruit.texts), atol=1e-6)


def test_heads_without_the_distilled_vector_are_not_told_what_classes_are_called(taught, fruit):
    recipe = replace(CPU.fit_classifier, frozen_pooling="concat")
    splits = stratified_folds(fruit, seed=0)
    predictions = cross_validate(
        Candidate(taught, recipe=recipe, with_baseline=False), fruit, splits, Run(device="cpu")
    )
    assert {config.pooling for config in predictions.ulmfit} == {"layers"}  # of the only input


def test_without_pytorch_both_directions_share_what_is_read_in_context(taught, fruit, tmp_path, monkeypatch):
    recipe = replace(CPU.fit_classifier, frozen_pooling="layers")
    classifier = fit_classifier(fruit, lm=taught, strategy="linear-probe", recipe=recipe, run=Run(device="cpu"))
    classifier.save(tmp_path / "model")
    asked, mean = [], WordMeans._mean
    monkeypatch.setattr(WordMeans, "_mean", lambda self, ids: asked.append(ids) or mean(self, ids))
    predictor = Predictor.load(tmp_path / "model")
    found = predictor.predict_proba(fruit.texts)
    assert len(predictor.heads) == 2 and len(asked) == len(fruit.texts)
    np.testing.assert_allclose(found, classifier.predict_proba(fruit.texts), atol=2e-3)  # which may use bfloat16
    for place, text in enumerate(fruit.texts[:4]):
        np.testing.assert_array_equal(predictor.predict_proba([text])[0], found[place])


def test_a_classifier_whose_pooling_needs_a_map_that_is_not_there_is_refused(tiny_lm, fruit, tmp_path):
    fit_classifier(fruit, lm=tiny_lm, strategy="linear-probe", run=Run(device="cpu")).save(tmp_path / "model")
    file = tmp_path / "model" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "pooling": "distilled"}))
    with pytest.raises(ArtifactError, match="distilled vectors"):
        TextClassifier.load(tmp_path / "model")


def test_a_head_leaves_out_numbers_that_tell_nothing():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, 100)
    features = rng.normal(size=(100, 120)).astype(np.float32)
    features[:, :40] += targets[:, None]
    head = fit_head(features, targets, CPU.fit_classifier, kind=Classes(), seed=0, distilled=40)
    assert float(head.output.weight[:, 40:].abs().max()) == 0
    turned = fit_head(features[:, ::-1].copy(), targets, CPU.fit_classifier, kind=Classes(), seed=0, distilled=80)
    assert float(turned.output.weight[:, :80].abs().max()) == 0


def test_taught_vectors_are_refused_where_nothing_was_taught(tiny_lm):
    with pytest.raises(OptionError, match="nothing was distilled"):
        tiny_lm.embed(["a text"], pooling="distilled")
    with pytest.raises(OptionError, match="known are"):
        tiny_lm.embed(["a text"], pooling="thaught")
    assert tiny_lm.only("forward").embed(["a text"]).shape == (1, 16 + 24 + 16)


def test_opinions_become_one_more_number_of_the_vectors(tiny_lm, reviews):
    known = reviews.labelled()
    opinions = [1.0 if label == "positive" else -1.0 for label in known.labels]
    taught = distill(
        known.texts,
        base=tiny_lm.only("forward"),
        teachers=[BagTeacher()],
        opinions=opinions,
        recipe=RECIPE,
        run=Run(seed=1, device="cpu"),
    )
    vectors = taught.only("forward").embed(known.texts, pooling="distilled")
    assert vectors.shape == (len(known), WIDTH + 1)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.corrcoef(vectors[:, -1], opinions)[0, 1] > 0.3
    assert taught.training.stages[-1].opinions is True


@pytest.mark.parametrize("opinions", [[0.5], [2.0] * 30, [float("nan")] * 30])
def test_opinions_that_are_no_numbers_from_minus_1_to_1_are_refused(tiny_lm, reviews, opinions):
    with pytest.raises(DataError, match="30 numbers from -1 to 1"):
        distill(reviews.texts[:30], base=tiny_lm, teachers=[BagTeacher()], opinions=opinions)


def test_a_column_of_opinions_names_the_row_that_is_none(tiny_lm, tmp_path, ulmfit):
    (tmp_path / "texts.csv").write_text("text,opinion\nGood.,0.9\nBad.,awful\n")
    tiny_lm.save(tmp_path / "lm")
    (tmp_path / "teacher").mkdir()
    (tmp_path / "teacher" / "modules.json").write_text("[]")
    code, _, told = ulmfit(
        "distill",
        tmp_path / "texts.csv",
        "--base",
        tmp_path / "lm",
        "--teacher",
        tmp_path / "teacher",
        "--opinion",
        "opinion",
        "--out",
        tmp_path / "distilled",
    )
    assert code == 2 and "row 2 has the opinion 'awful'" in told


def test_a_width_of_context_without_blocks_is_refused(ulmfit, tmp_path):
    asked = ["distill", "texts.csv", "--base", "lm", "--teacher", "teacher", "--out", tmp_path / "distilled"]
    code, _, told = ulmfit(*asked, "--context-width", "384")
    assert code == 2 and "add --context-blocks" in told


def test_too_few_texts_are_refused(tiny_lm):
    with pytest.raises(DataError, match="20 texts"):
        distill(["one text"], base=tiny_lm, teachers=[BagTeacher()])


def test_an_interrupted_lesson_ends_with_the_same_weights(tiny_lm, reviews, tmp_path, monkeypatch):
    def lesson(folder):
        checkpoints = Checkpoints(tmp_path / folder, every=0)
        recipe = replace(RECIPE, epochs=2)
        return distill(
            reviews.texts[:80],
            base=tiny_lm.only("forward"),
            teachers=[BagTeacher()],
            recipe=recipe,
            run=Run(seed=3, device="cpu", checkpoints=checkpoints),
        )

    undisturbed = lesson("undisturbed")
    seen, after_batch = [], History.after_batch

    def fails(self):
        seen.append(1)
        if len(seen) == 8:
            raise KeyboardInterrupt
        after_batch(self)

    monkeypatch.setattr(History, "after_batch", fails)
    with pytest.raises(KeyboardInterrupt):
        lesson("interrupted")
    monkeypatch.undo()
    assert lesson("interrupted").sha256() == undisturbed.sha256()
    changed = replace(RECIPE, epochs=2, lr=1e-4)
    with pytest.raises(TrainingError, match="other settings"):
        distill(
            reviews.texts[:80],
            base=tiny_lm.only("forward"),
            teachers=[BagTeacher()],
            recipe=changed,
            run=Run(seed=3, device="cpu", checkpoints=Checkpoints(tmp_path / "interrupted")),
        )


def test_a_text_is_taught_the_vector_that_it_will_be_given(taught):
    net = LanguageModelNet(taught.architecture, len(taught.vocabulary))
    copy_weights(net, taught.weights["forward"])
    texts = ["The film was a joy.", "No."]
    documents = [taught.vocabulary.encode(tokens) for tokens in taught.tokenizer(texts)]
    lengths = torch.tensor([len(one) for one in documents])
    ids = torch.full((2, int(lengths.max())), PAD_ID)
    for row, one in zip(ids, documents, strict=True):
        row[: len(one)] = torch.tensor(one)
    with torch.no_grad():
        reading = DistillationNet(net.eval())(ids, lengths)
    cosines = (reading.distilled.numpy() * taught.only("forward").embed(texts, pooling="distilled")).sum(1)
    assert (cosines > 0.99).all()  # CPUs with bfloat16 read in it
    assert len(reading.following) == int((lengths - 1).sum())


def test_a_teacher_is_asked_once(tmp_path, reviews):
    teacher = BagTeacher()
    first = teacher_vectors(reviews.texts[:30], teacher, cache=tmp_path)
    again = teacher_vectors(reviews.texts[:30], teacher, cache=tmp_path)
    assert teacher.asked == 30 and first.dtype == np.float16
    np.testing.assert_array_equal(first, again)


def test_a_teacher_that_is_not_there_is_named():
    with pytest.raises(OptionError, match="no_such_teacher"):
        find_teacher("no_such_teacher")


def test_fit_distils_a_teacher_on_the_texts_of_the_file_first(ulmfit, tiny_lm, write_csv, fruit, tmp_path, monkeypatch):
    monkeypatch.setattr("ulmfit_lib.training.teachers.find_teacher", lambda name, *, device: BagTeacher())
    tiny_lm.save(tmp_path / "base")
    data, out = write_csv(zip(fruit.texts, fruit.labels, strict=True)), tmp_path / "classifier"
    columns = ["--text", "review", "--label", "sentiment"]
    code, _, err = ulmfit(
        "fit",
        data,
        *columns,
        "--base",
        tmp_path / "base",
        "--teacher",
        "bag",
        "--strategy",
        "linear-probe",
        "--out",
        out,
    )
    assert code == 0, err
    classifier = TextClassifier.load(out)
    assert classifier.pooling.startswith("distilled") and classifier.architecture.distilled == WIDTH
    assert [stage.teacher for stage in classifier.training.stages if stage.name == "distill"] == [BagTeacher.name]


def test_a_teacher_is_distilled_for_a_classifier_of_names_too(ulmfit, tiny_lm, write_csv, fruit, tmp_path, monkeypatch):
    monkeypatch.setattr("ulmfit_lib.training.teachers.find_teacher", lambda name, *, device: BagTeacher())
    tiny_lm.save(tmp_path / "base")
    data, out = write_csv(zip(fruit.texts, fruit.labels, strict=True)), tmp_path / "classifier"
    names = ["--text", "review", "--classes", "good,bad", "--direction", "forward"]
    code, _, err = ulmfit("fit", data, *names, "--base", tmp_path / "base", "--teacher", "bag", "--out", out)
    assert code == 0, err
    classifier = TextClassifier.load(out)
    assert list(classifier.heads) == ["forward"] and classifier.architecture.distilled == WIDTH


def test_the_map_solves_what_is_linear():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(500, 6)).astype(np.float32)
    vectors = (features @ rng.normal(size=(6, 3)) + 1).astype(np.float16)
    found = solve_projection(features, vectors)
    said = features @ found["map.weight"].numpy().T + found["map.bias"].numpy()
    assert np.corrcoef(said[:, 0], vectors[:, 0])[0, 1] > 0.99


def test_words_that_the_texts_use_take_the_places_of_those_that_they_never_do(tiny_lm, reviews):
    size = len(tiny_lm.vocabulary)
    corpus = tokenize_corpus(["zeppelin " * 5 + text for text in reviews.texts[:9]], tiny_lm.tokenizer)
    fitted = tiny_lm.vocabulary.refitted(corpus.types, corpus.counts, size=size - 10)
    assert len(fitted) == size - 10 and "zeppelin" in fitted.index
    weights = exchange_words(tiny_lm.weights["forward"], tiny_lm.vocabulary, fitted)
    before = tiny_lm.weights["forward"]["encoder.weight"]
    assert torch.equal(weights["encoder.weight"][fitted.index["film"]], before[tiny_lm.vocabulary.index["film"]])
    torch.testing.assert_close(weights["encoder.weight"][fitted.index["zeppelin"]], before.mean(0))


def test_a_text_written_otherwise_keeps_most_of_its_letters():
    text, rng = "The battery of this camera was great, but the lens broke after two weeks.", random.Random(0)
    for _ in range(100):
        other = write_otherwise(text, rng)
        assert 0.6 * len(text) < len(other) < len(text) + 5
    assert write_otherwise("", rng) == ""
    assert {misspell("it", rng), misspell("1234", rng)} == {"it", "1234"}


STORED = Path(__file__).parent / "data" / "version-3"


def test_stored_taught_models_say_what_they_said():
    expected = json.loads((STORED / "expected.json").read_text())
    found = LanguageModel.load(STORED / "language-model").embed(expected["texts"])
    np.testing.assert_allclose(found, expected["embeddings"], atol=0.02)  # CPUs round differently
    said = TextClassifier.load(STORED / "classifier").predict_proba(expected["texts"])
    np.testing.assert_allclose(said, expected["probabilities"], atol=0.01)
