import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ulmfit_lib import TextTable, fit
from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.data.table import Apart
from ulmfit_lib.errors import ArtifactError, DataError, Interrupted, OptionError
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.labels.decision import ACCURACY
from ulmfit_lib.models.known_texts import FEWEST_TEXTS
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.loading import load_base_model
from ulmfit_lib.pipeline import affordable, plan, scoping
from ulmfit_lib.pipeline.affordable import Affordable
from ulmfit_lib.pipeline.bases import Base, choose_base, find_bases, usual_base
from ulmfit_lib.pipeline.budget import Budget, Step, default_minutes
from ulmfit_lib.pipeline.candidates import Candidate
from ulmfit_lib.pipeline.deciding import Goal
from ulmfit_lib.pipeline.experiment import Experiment, Scoring
from ulmfit_lib.pipeline.out_of_fold import OutOfFoldPredictions, concatenate, stratified_folds
from ulmfit_lib.pipeline.search import Search
from ulmfit_lib.reporting.scored import find_scores
from ulmfit_lib.serving.predictor import Predictor
from ulmfit_lib.stages.fit_classifier import fit_classifier
from ulmfit_lib.stages.fit_lm import fit_lm
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.heads import HeadConfig
from ulmfit_lib.training.recipes import find_recipe
from ulmfit_lib.training.run import Run


@pytest.fixture
def table(fruit):
    words = ["apple", "pear", "plum", "cherry", "quince", "fig", "grape", "melon"]
    draw = np.random.default_rng(0)
    texts = [f"{text} {' '.join(draw.choice(words, 12))} number{i}" for i, text in enumerate(fruit.texts)]
    more = [f"no label here {' '.join(draw.choice(words, 12))}" for _ in range(30)]
    return TextTable.from_lists(texts + more, [*fruit.labels, *[None] * 30])


@pytest.fixture
def read(monkeypatch):
    """What each language model read, in order."""
    found = []

    def remember(texts, **options):
        found.append(set(texts))
        return fit_lm(texts, **options)

    monkeypatch.setattr("ulmfit_lib.pipeline.fit.fit_lm", remember)
    return found


def said(right, n=40, seed=0):
    """Probabilities of rows of two classes, of which a share is right, and what is the truth."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 2, n)
    guessed = np.where(rng.random(n) < right, targets, 1 - targets)
    return np.where(np.eye(2)[guessed] == 1, 0.8, 0.2), targets


def predictions_of(ulmfit, targets, **others):
    n = len(targets)
    return OutOfFoldPredictions(Classes(), np.arange(n), targets, np.arange(n) % 5, ulmfit, others)


# Scores


def test_every_labelled_row_is_scored_once_and_kept(tiny_lm, table):
    classifier = fit(table, base=tiny_lm, strategy="linear-probe", run=Run(device="cpu"), scoring=Scoring(folds=3))
    report = classifier.training.report
    found = report.out_of_fold
    probabilities, targets = np.array(found.probabilities), np.array(found.targets)
    assert found.rows == list(range(1, 49)) and targets.tolist() == [i % 2 == 0 for i in range(48)]
    assert report.folds == 3 and report.held_out_rows == report.labelled_rows == 48
    assert report.ensemble.accuracy == pytest.approx((classifier.decide(probabilities) == targets).mean(), abs=0.05)
    assert "On 48 labelled rows, cross-validated in 3 folds" in report.sentence


def test_a_label_that_says_nothing_is_not_seen_by_what_scores_its_row(tiny_lm, table):
    labels = np.random.default_rng(3).permutation(table.labels[:48]).tolist()
    shuffled = TextTable.from_lists(table.texts[:48], labels)
    report = fit(shuffled, base=tiny_lm, strategy="linear-probe", run=Run(device="cpu")).training.report
    assert report.ensemble.accuracy < 0.75


def test_rows_that_are_alike_share_a_fold_and_every_class_is_learnt(fruit):
    texts = [f"entirely different text {i} about {'x' * i} and more" for i in range(46)]
    table = TextTable.from_lists([*texts, "the very same words", "The very same words!"], ["a", "b"] * 22 + ["c"] * 4)
    splits = stratified_folds(table, seed=1)
    fold = {place: number for number, (_, test) in enumerate(splits) for place in test}
    assert fold[46] == fold[47] and len(splits) == 5
    alone = TextTable.from_lists(texts, ["a", "b"] * 22 + ["a", "rare"])
    for train, test in stratified_folds(alone, seed=1):
        assert 45 in train and not set(train) & set(test)


def test_many_labelled_rows_are_held_out_instead(tiny_lm, fruit, monkeypatch):
    monkeypatch.setattr("ulmfit_lib.pipeline.experiment.MAX_CROSS_VALIDATED", 40)
    classifier = fit(fruit, base=tiny_lm, strategy="linear-probe", run=Run(device="cpu"))
    report = classifier.training.report
    assert report.held_out_rows == 10 and "On 10 held-out rows" in report.sentence and report.folds == 0
    scored = find_scores(classifier, fruit)
    assert scored.table is not None and len(scored.table) == 10
    right = scored.probabilities["ensemble"].argmax(1) == scored.table.class_numbers(classifier.classes)
    assert right.mean() == pytest.approx(report.ensemble.accuracy)


def test_what_cannot_be_done_is_said(tiny_lm, fruit):
    with pytest.raises(OptionError, match="at least 2"):
        fit(fruit, base=tiny_lm, scoring=Scoring(folds=1))
    with pytest.raises(OptionError, match="give one of them"):
        fit(fruit, base=tiny_lm, scoring=Scoring(test_fraction=0.2, folds=3))
    for minutes in (0, float("nan"), float("inf")):
        with pytest.raises(OptionError, match="more than 0"):
            fit(fruit, base=tiny_lm, minutes=minutes)
    with pytest.raises(DataError, match="no label has two different texts"):
        fit(
            TextTable.from_lists(["same same same"] * 60, ["a", "b"] * 30),
            base=tiny_lm,
            scoring=Scoring(test_fraction=None),
        )


def test_the_weights_that_score_a_row_come_from_other_folds():
    good, targets = said(0.9)
    bad, _ = said(0.5, seed=1)
    predictions = predictions_of(
        {HeadConfig("distilled", 1.0): bad, HeadConfig("layers", 1.0): good}, targets, baseline=bad
    )
    before = predictions.held_out(Goal(ACCURACY)).probabilities[ENSEMBLE]
    turned = targets.copy()
    turned[predictions.fold == 0] = 1 - turned[predictions.fold == 0]
    others = predictions_of(predictions.ulmfit, turned, baseline=bad)
    after = others.held_out(Goal(ACCURACY)).probabilities[ENSEMBLE]
    np.testing.assert_allclose(before[predictions.fold == 0], after[predictions.fold == 0])
    ((best, _),) = predictions.head_weights().items()
    assert best == HeadConfig("layers", 1.0)


def test_few_rows_are_not_weighed_but_calibrate():
    good, targets = said(0.9, n=19)
    sure = good**8 / (good**8).sum(1, keepdims=True)
    predictions = predictions_of({None: sure}, targets, baseline=good)
    blend = predictions.blend(predictions.members({None: 1.0}))
    assert blend.baseline == 0
    assert predictions.row_losses(blend.apply({"ulmfit": sure})).mean() < predictions.row_losses(sure).mean()


# Reading


@pytest.mark.slow
def test_by_default_no_language_model_reads_a_scored_text(tiny_lm, table, read, monkeypatch):
    monkeypatch.setattr("ulmfit_lib.pipeline.fit.MIN_TOKENS", 1)
    report = fit(
        table, base=tiny_lm, direction="forward", strategy="linear-probe", run=Run(device="cpu")
    ).training.report
    assert read == [set(table.texts[48:])] and not report.transductive
    assert any("with the language model fine-tuned on" in told for told in report.tried)


@pytest.mark.slow
def test_epochs_that_are_asked_for_read_every_text_and_the_report_says_so(tiny_lm, table, read):
    options = {"base": tiny_lm, "direction": "forward", "strategy": "linear-probe", "run": Run(device="cpu")}
    recipe = find_recipe("cpu").changed(lm_epochs=1)
    report = fit(table, recipe=recipe, **options).training.report
    assert read == [set(table.texts)] and report.transductive and "(transductive)" in report.sentence


def test_reading_that_brings_nothing_is_dropped(tiny_lm, table, monkeypatch):
    def forget(texts, *, base, **_):
        from dataclasses import replace

        noise = {way: {n: t * 0 for n, t in weights.items()} for way, weights in base.weights.items()}
        return replace(base, weights=noise)

    monkeypatch.setattr("ulmfit_lib.pipeline.fit.MIN_TOKENS", 1)
    monkeypatch.setattr("ulmfit_lib.pipeline.fit.fit_lm", forget)
    classifier = fit(table, base=tiny_lm, strategy="linear-probe", run=Run(device="cpu"))
    assert "dropped" in classifier.training.report.tried[0]
    assert float(np.abs(classifier.weights["forward"]["rnns.0.weight_hh"]).sum()) > 0


# Fine-tuning


@pytest.mark.parametrize("better", ["linear-probe", "fine-tune"])
def test_the_encoder_learns_the_labels_only_if_that_is_better(tiny_lm, fruit, monkeypatch, better):
    def predict(candidate, table, splits, run, **_):
        targets = table.class_numbers()
        for number, (_, test) in enumerate(splits):
            right = 0.95 if candidate.strategy == better else 0.7
            hit = np.random.default_rng(number).random(len(test)) < right
            guessed = np.where(hit, targets[test], 1 - targets[test])
            p = np.where(np.eye(2)[guessed] == 1, 0.8, 0.2)
            head = None if candidate.strategy == "fine-tune" else HeadConfig("layers")
            fold = np.full(len(test), number)
            yield OutOfFoldPredictions(table.kind, test, targets[test], fold, {head: p}, {"baseline": p})

    for module in ("candidates", "search"):
        monkeypatch.setattr(f"ulmfit_lib.pipeline.{module}.predict_folds", predict)
    classifier = fit(fruit, base=tiny_lm, direction="forward", minutes=50, run=Run(device="cpu"))
    assert classifier.training.stages[-1].strategy == better


@pytest.mark.parametrize(
    ("errors", "usually", "kept"), [(1.5, True, True), (2.5, True, False), (-0.5, False, False), (-1.5, False, True)]
)
def test_what_usually_pays_is_dropped_only_where_two_standard_errors_speak_against_it(errors, usually, kept):
    worse = np.random.default_rng(0).normal(size=400)
    worse += errors * worse.std() / np.sqrt(len(worse)) - worse.mean()
    before, after = (SimpleNamespace(row_losses=x, log_loss=x.mean(), accuracy=0.5) for x in (0 * worse, worse))
    search = Search(experiment=None, budget=None, run=Run(), best=before)
    assert search.keep_if_better(after, "with it", usually=usually) == kept
    assert (search.best is after) == kept


def test_what_there_is_no_time_for_is_left_out_and_said(tiny_lm, fruit, monkeypatch):
    monkeypatch.setattr(plan, "epoch_seconds", lambda *_, **__: 1e6)
    classifier = fit(fruit, base=tiny_lm, direction="forward", run=Run(device="cpu"))
    assert classifier.training.stages[-1].strategy == "linear-probe"
    assert "more than is left" in classifier.training.report.tried[-1]


def test_where_time_is_short_the_encoder_learns_for_fewer_epochs(tiny_lm, fruit, monkeypatch):
    epochs, seconds = [], 0.9 * 60 * 10 / 5 / 6  # five folds and the last fit are five times the whole table

    def interrupt(candidate, *_, **__):
        epochs.append(candidate.recipe.epochs)
        raise KeyboardInterrupt

    monkeypatch.setattr(plan, "epoch_seconds", lambda *_, **__: seconds)
    monkeypatch.setattr("ulmfit_lib.pipeline.search.predict_folds", interrupt)
    fit(fruit, base=tiny_lm, direction="forward", minutes=10, run=Run(device="cpu"))
    assert epochs == [5]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Interrupted])
def test_ctrl_c_delivers_the_best_so_far(tiny_lm, fruit, monkeypatch, capsys, stop):
    def interrupt(*_, **__):
        raise stop

    monkeypatch.setattr(plan, "epoch_seconds", interrupt)
    classifier = fit(fruit, base=tiny_lm, direction="forward", run=Run(device="cpu"))
    assert classifier.training.stages[-1].strategy == "linear-probe"
    assert "the best classifier so far is kept" in capsys.readouterr().err


# Time


def test_a_run_that_goes_on_decides_as_it_had_decided(tmp_path):
    budget = Budget(1, tmp_path / "run")
    assert (
        not budget.resumed()
        and budget.allows(Step.READING, "much", 1e9) is False
        and budget.allows(Step.READING, "little", 1) is True
    )
    again = Budget(1000, tmp_path / "run")
    assert (
        again.resumed()
        and again.allows(Step.READING, "much", 1e9) is False
        and again.decide(Step.READING, "speed", 5) == 5
    )
    assert Budget(1, tmp_path / "run").decide(Step.READING, "speed", 7) == 5


def test_longer_texts_get_more_time():
    assert default_minutes(2_000, 100) == pytest.approx(1, abs=0.1)
    assert default_minutes(10_000, 500) == pytest.approx(2, abs=0.1) == default_minutes(10_000, 100)
    assert default_minutes(1_500_000, 50) == 10 < default_minutes(5_000_000, 50) < default_minutes(10**12, 50) == 60


def test_a_fit_that_goes_on_says_so(tiny_lm, fruit, tmp_path, capsys):
    Budget(1, tmp_path / "run").decide(Step.READING, "speed", 5)
    fit(fruit, base=tiny_lm, strategy="linear-probe", run=Run(device="cpu", checkpoints=Checkpoints(tmp_path / "run")))
    assert (
        "continues a run that was stopped. It had got as far as fine-tuning the language model on your texts"
        in capsys.readouterr().err
    )


def test_the_time_of_a_run_that_was_stopped_is_counted(tmp_path):
    stopped = Budget(10, tmp_path / "run")
    stopped.started -= 120
    stopped.decide(Step.FINE_TUNING, "epochs", 1)
    checkpoint = tmp_path / "run" / "checkpoint"
    checkpoint.touch()
    decided = (tmp_path / "run" / "decisions.json").stat().st_mtime
    os.utime(checkpoint, (decided + 60, decided + 60))
    again = Budget(10, tmp_path / "run")
    assert 180 <= again.spent() < 182 and "fine-tuning the encoder on the labels, after 3 min;" in again.resumed()
    assert "at most 7 min are left" in again.resumed()


# The base


def test_the_base_that_tells_the_labels_best_is_taken(tiny_lm, fruit, tmp_path):
    blank = replace(
        tiny_lm,
        training=TrainingRecord("blank"),
        weights={way: {name: t * 0 for name, t in some.items()} for way, some in tiny_lm.weights.items()},
    )
    experiment, run = Experiment.of(fruit, Scoring(folds=5), seed=0), Run(seed=0, device="cpu")

    def choose(*lms):
        bases = find_bases(lms, experiment.train.texts, direction=None, seed=0)
        return choose_base(bases, Candidate(bases[0].lm), experiment, run)

    chosen = choose(blank, tiny_lm)
    assert chosen.whole is tiny_lm and "base tiny: the lowest cross-validated log loss" in chosen.why
    assert "blank" in chosen.why
    same = replace(tiny_lm, training=TrainingRecord("blank"))  # as two that were fine-tuned from one base are
    with pytest.raises(OptionError, match="two bases are called 'blank'"):
        choose(blank, same)
    blank.save(tmp_path / "a")
    same.save(tmp_path / "b")
    assert f"base {tmp_path / 'b'}: the lowest" in choose(tmp_path / "a", tmp_path / "b").why


def test_where_there_is_no_time_to_compare_bases_the_distilled_one_is_taken(tiny_lm, fruit):
    other = replace(tiny_lm, training=TrainingRecord("other"), weights={"forward": tiny_lm.weights["forward"]})
    distilled = replace(
        other, training=TrainingRecord("distilled"), architecture=replace(tiny_lm.architecture, distilled=8)
    )
    bases = [Base(lm.training.name, lm, None, "as asked for") for lm in (tiny_lm, distilled)]
    assert usual_base(bases[:1], fruit.texts).why == "as asked for"
    chosen = usual_base(bases, fruit.texts)
    assert chosen.whole is distilled
    assert "base distilled: there was no time to compare it with tiny" in chosen.why


def test_a_linear_probes_vectors_are_those_of_its_classifier_and_are_read_once(tiny_lm, fruit, monkeypatch):
    candidate, run = Candidate(tiny_lm, with_baseline=False), Run(seed=0, device="cpu")
    classifier = candidate.fit(fruit.labelled(), run)
    reader = candidate.reader(classifier, run)
    expected = classifier.embed(fruit.labelled().texts)
    monkeypatch.setattr(LanguageModel, "features", lambda *_, **__: pytest.fail("read twice"))
    np.testing.assert_allclose(reader.to("cpu").embed(fruit.labelled().texts), expected, atol=1e-6)
    tuned = replace(candidate, strategy="fine-tune")
    assert tuned.reader(classifier, run) is classifier


def test_no_time_is_spent_on_finding_out_how_long_fine_tuning_would_take_where_none_is_left(
    tiny_lm, fruit, monkeypatch
):
    monkeypatch.setattr(plan, "epoch_seconds", lambda *_, **__: pytest.fail("measured"))
    classifier = fit(fruit, base=tiny_lm, direction="forward", minutes=1e-4, run=Run(device="cpu"))
    assert classifier.training.report.tried[-1] == "fine-tuning the encoder was left out: no time is left"
    assert len(classifier.training.known_texts["nats"]) == FEWEST_TEXTS


def test_features_of_texts_that_are_read_later_and_twice_are_theirs(tiny_lm, fruit):
    candidate, run = Candidate(tiny_lm), Run(seed=0, device="cpu")
    candidate.features(fruit.texts[:3], run)
    again = [fruit.texts[4], fruit.texts[4], fruit.texts[1]]
    candidate.remember(again, Candidate(tiny_lm).features(again, run))
    found = candidate.features([fruit.texts[5], *again], run)
    for way, vectors in Candidate(tiny_lm).features([fruit.texts[5], *again], run).items():
        np.testing.assert_allclose(found[way], vectors, atol=1e-6)


def test_folds_are_joined_in_order():
    good, targets = said(0.9)
    whole = predictions_of({None: good}, targets, baseline=good)
    parts = [whole.among(np.flatnonzero(whole.fold == k)) for k in range(5)]
    again = concatenate(parts)
    assert sorted(again.places) == list(range(40)) and again.ulmfit[None].shape == good.shape


@pytest.mark.parametrize(("length", "expected"), [(10, 150), (2_000, 75), (100_000, 50)])
def test_a_random_part_of_long_texts_has_fewer_rows(length, expected):
    table = TextTable.from_lists([f"{row} ".ljust(length, "a") for row in range(200)], ["good", "bad"] * 100)
    rows = table.random_rows(150, seed=0)
    assert len(rows) == len(set(rows)) == expected and (rows == sorted(rows)).all()


def test_fit_leaves_torch_s_random_numbers_alone(tiny_lm, fruit):
    before = torch.get_rng_state()
    fit(fruit, base=tiny_lm, minutes=0.02, run=Run(device="cpu"))
    assert (torch.get_rng_state() == before).all()


def test_fit_starts_from_the_encoder_of_a_classifier_of_other_classes(tiny_classifier, tiny_lm, table, tmp_path):
    tiny_classifier.save(tmp_path / "films")
    labels = [None if label is None else ["low", "middle", "high"][row % 3] for row, label in enumerate(table.labels)]
    other = TextTable.from_lists(table.texts, labels)
    found = fit(other, base=tmp_path / "films", strategy="linear-probe", run=Run(device="cpu"))
    assert found.classes == ["high", "low", "middle"]
    assert found.base["name"] == "films" and found.vocabulary.tokens == tiny_classifier.vocabulary.tokens
    for way, some in tiny_classifier.weights.items():
        np.testing.assert_array_equal(found.weights[way]["encoder.weight"], some["encoder.weight"])
    assert [stage.name for stage in found.training.stages] == ["pretrain", "classify", "classify"]


def test_the_language_model_of_a_classifier_takes_its_base_s_word_frequencies(tiny_classifier, tiny_lm, tmp_path):
    tiny_lm.save(tmp_path / "tiny")
    replace(tiny_classifier, base={"name": str(tmp_path / "tiny")}).save(tmp_path / "films")
    texts = ["the film was great", "the film was terrible"]
    lm = load_base_model(tmp_path / "films")
    assert lm.perplexity(texts) == pytest.approx(tiny_lm.perplexity(texts), rel=1e-4)
    tiny_classifier.save(tmp_path / "alone")
    assert load_base_model(tmp_path / "alone").perplexity(texts) > 1


def test_an_exported_classifier_is_no_base_and_the_message_says_what_is(tiny_classifier, table, tmp_path):
    Predictor.of(tiny_classifier).save(tmp_path / "exported")
    with pytest.raises(ArtifactError, match="exported classifier cannot be trained on: name the folder"):
        fit(table, base=tmp_path / "exported")


def test_a_budget_that_is_too_short_for_the_texts_leaves_rows_out_and_says_what_would_be_enough(tiny_lm, monkeypatch):
    monkeypatch.setattr(affordable, "_characters_per_second", lambda *_: 100_000)
    texts = [f"{row} ".ljust(2_000, "a") for row in range(600)]
    labels = ["rare" if row in (7, 8) else ["good", "bad", None][row % 3] for row in range(600)]
    table = TextTable.from_lists(texts, labels)

    def within(minutes):
        return Affordable.of(table, Scoring(), lm=tiny_lm, pooling="layers", budget=Budget(minutes), seed=0)

    shortest, short, longer, enough = map(within, (0.02, 0.1, 0.4, 0.7))
    assert shortest.data.label_counts["rare"] == 2 and sum(map(len, shortest.data.labelled().texts)) < 62_000
    assert f"only {len(shortest.data.labelled())} of 401 labelled rows, drawn at random, were read" in shortest.left_out
    assert {len(text) for text in shortest.data.labelled().texts} == {500} and not shortest.whole
    assert shortest.scoring.folds == short.scoring.folds == longer.scoring.folds == 3
    (cut,) = {len(text) for text in short.data.labelled().texts}
    assert 500 < cut < 800 and shortest.data.labels.count(None) < 199 == short.data.labels.count(None)
    assert f"no more than the first {cut} characters of a labelled text were read" in short.left_out
    assert longer.data is table and longer.whole
    assert longer.left_out == "For want of time, there were 3 folds instead of 5. --minutes 0.6 is enough here."
    assert enough.data is table and not enough.left_out and enough.scoring == Scoring()
    assert shortest.share < short.share < longer.share < enough.share < within(2).share == 1


def test_rows_of_many_classes_cost_time_however_short_they_are(tiny_lm, monkeypatch):
    monkeypatch.setattr(affordable, "_characters_per_second", lambda *_: 10_000)
    texts = [f"{row} aaaaaaaaaa" for row in range(2_000)]
    budget = Budget(0.1)
    few, many = (
        Affordable.of(
            TextTable.from_lists(texts, [f"class {row % count}" for row in range(2_000)]),
            Scoring(),
            lm=tiny_lm,
            pooling="layers",
            budget=budget,
            seed=0,
        ).data
        for count in (2, 50)
    )
    assert 100 <= len(many) < 200 < len(few) and set(many.label_counts.values()) >= {2}


def test_beginnings_of_texts_are_not_kept_to_compare_new_ones_with(tiny_lm, fruit, monkeypatch):
    monkeypatch.setattr(affordable, "ALWAYS_READ", 100)
    monkeypatch.setattr(affordable, "BEGINNING", 20)
    monkeypatch.setattr(affordable, "_characters_per_second", lambda *_: 1)
    monkeypatch.setattr(scoping, "MOST_OTHERS", 20)
    table = replace(fruit, apart=Apart("other", [f"{row} and no fruit at all" for row in range(40)]))
    classifier = fit(table, base=tiny_lm, minutes=0.1, run=Run(seed=0, device="cpu"))
    assert classifier.training.known_texts is None and len(classifier.scope.others) == 20
    assert "no more than the first 20 characters" in classifier.training.report.sentence


def test_a_part_of_the_rows_with_many_classes_is_learnt_from_where_the_whole_was_looked_at(tiny_lm):
    labels = [f"class {row % 22}" for row in range(60)]
    table = TextTable.from_lists([f"{label} of {row}" for row, label in enumerate(labels)], labels)
    with pytest.raises(DataError, match="looks like free text"):
        fit_classifier(table, lm=tiny_lm, strategy="linear-probe")
    classifier = Candidate(tiny_lm, with_baseline=False).fit(table, Run(device="cpu"))
    assert len(classifier.classes) == 22


def test_a_slow_start_does_not_make_a_machine_look_fast(monkeypatch):
    seconds = iter([9.0, 0.5, 4.5, 8.5])  # the first loads what all need, and others work beside the last
    clock = [0.0]

    class Slow:
        def features(self, texts, pooling):
            clock[0] += next(seconds)

    monkeypatch.setattr(affordable.time, "monotonic", lambda: clock[0])
    assert affordable._characters_per_second(Slow(), ["a" * 1_000] * 100, "layers") == pytest.approx(7_000 / 4)


def test_what_was_left_out_stands_in_the_report_and_not_as_a_run_that_was_stopped(
    tiny_lm, fruit, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(affordable, "ALWAYS_READ", 100)
    monkeypatch.setattr(affordable, "_characters_per_second", lambda *_: 1)
    run = Run(seed=0, device="cpu", checkpoints=Checkpoints(tmp_path))
    report = fit(fruit, base=tiny_lm, minutes=1, run=run).training.report
    assert report.sentence.endswith("is enough here.") and report.sentence.endswith(report.tried[0])
    said = capsys.readouterr().err
    assert report.tried[0] in said and "was stopped" not in said
