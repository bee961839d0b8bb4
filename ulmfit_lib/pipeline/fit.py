"""All three stages from one table: split, fine-tune, classify, score beside the baseline, refit."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ulmfit_lib.artifact.catalogue import AUTO
from ulmfit_lib.data.reading import read_table
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import Interrupted
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.bases import choose_base, find_bases
from ulmfit_lib.pipeline.budget import Budget, Step, check_minutes, default_minutes, shown
from ulmfit_lib.pipeline.candidates import Candidate, evaluate
from ulmfit_lib.pipeline.experiment import Experiment, Scoring
from ulmfit_lib.pipeline.plan import Reading, count_tokens, tokens_per_second
from ulmfit_lib.pipeline.search import Search
from ulmfit_lib.progress import note
from ulmfit_lib.stages.fit_lm import fit_lm
from ulmfit_lib.training.classifying import FINE_TUNE, LINEAR_PROBE, find_strategy
from ulmfit_lib.training.recipes import BY_TIME, Recipe, find_recipe
from ulmfit_lib.training.run import Run, takes_run
from ulmfit_lib.training.topics import learn_topics

MIN_TOKENS_READ = 50_000  # below, reading brings nothing
SLICE = 0.15  # of the time that is left: what a first reading takes
ALL = 0.45  # the same, of a second one


def fit_csv(
    path: str | Path,
    *,
    text: str | Sequence[str],
    label: str,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    **options: Any,
) -> TextClassifier:
    """A CSV of texts, some or all with labels -> a classifier: ``fit(read_table(...), **options)``."""
    return fit(read_table(path, text=text, label=label, encoding=encoding, delimiter=delimiter), **options)


@takes_run(
    lm_epochs=("recipe", lambda recipe, epochs: find_recipe(recipe).changed(lm_epochs=epochs)),
    class_weights=("recipe", lambda recipe, weights: find_recipe(recipe).changed(class_weights=weights)),
    with_baseline=("recipe", lambda recipe, wanted: find_recipe(recipe).changed(with_baseline=wanted)),
    test_fraction="scoring",
    folds="scoring",
    transductive="scoring",
)
def fit(
    data: TextTable,
    *,
    base: str | Path | LanguageModel = AUTO,
    direction: str | None = None,
    recipe: str | Recipe = "cpu",
    strategy: str | None = None,
    minutes: float | None = None,
    scoring: Scoring = Scoring(),  # noqa: B008
    run: Run | None = None,
) -> TextClassifier:
    """All of ULMFiT from one table within a given time, and an honest word on what it is worth.

    1. Candidates are compared by cross-validation on the labelled rows (five folds; texts that are alike share one).
       Its score is reported, too; only of more than 2,000 labelled rows, a fifth is held out for that.
    2. Linear probes on the frozen encoders of each base come first: seconds, and a first score. Beside ULMFiT stand
       TF-IDF + logistic regression, and the same on topics of the texts without a label, where these are many.
    3. Where there is time, the language model is fine-tuned on the texts without a label (``fit_lm``), on a slice of
       them first, and then the encoder on the labels (``fit_classifier``), fold by fold. Each is kept only if it
       lowers the cross-validated log loss.
    4. The result is the ensemble of all members of the best candidate, weighed by log loss and refitted to all
       labelled rows.

    Ctrl-C ends the search early: the result is the best candidate so far.

    Args:
        data: texts; a row without a label feeds the language model and the topics only.
        base: a pretrained model's name, a folder, a language model; or ``auto``: the embedded model whose linear probe
            has the least log loss.
        direction: ``forward``, ``backward`` or ``both``; default all that the base has.
        recipe: the hyperparameters of all stages: ``cpu`` (ours), ``paper``, ``scripts``, ``fastai``, ``multifit``, or
            one of your own (``training.recipes``). Others than ours fine-tune the language model and the encoder,
            however long it takes.
        strategy: ``linear-probe`` (the head alone learns the labels), ``fine-tune`` (the encoder, too, however long it
            takes), or ``auto``: what pays within the time; default the recipe's.
        minutes: to spend; default 1 for a hundred short texts, 2 for five hundred, 10 for a thousand reviews and four
            thousand unlabelled ones.
        scoring: which rows are scored.
        run: seed, device and checkpoints; a run that was stopped continues from these.

    Returns:
        The classifier; its ``training.report`` holds the scores and one sentence about them.

    Raises:
        DataError: labels that cannot be learnt from.
        ArtifactError: no such base.
        OptionError: an option out of range.
    """
    run = run or Run()
    recipe = find_recipe(recipe)
    strategy = find_strategy(strategy or recipe.strategy, also=BY_TIME)
    if minutes is not None:
        check_minutes(minutes)
    experiment = Experiment.of(data, scoring, seed=run.seed)
    train = experiment.train
    bases = find_bases([base], experiment, direction=direction, seed=run.seed)
    reads_all = not recipe.epochs_by_length
    texts = experiment.all_texts if reads_all else experiment.texts
    reading = Reading(texts, recipe.fit_lm, count_tokens(texts, bases[0].lm))
    minutes = minutes or default_minutes(reading.n_tokens + count_tokens(train.texts, bases[0].lm), len(train))
    budget = Budget(minutes, run.checkpoints.folder if run.checkpoints else None)
    note(experiment.sentence(minutes) + budget.resumed())

    chosen = choose_base(bases, recipe.fit_classifier, experiment, run)
    note(chosen.why)
    topics = learn_topics(experiment.texts, labelled=len(train), seed=run.seed) if recipe.with_baseline else None
    probe = Candidate(chosen.lm, recipe=recipe.fit_classifier, with_baseline=recipe.with_baseline, topics=topics)
    search = Search(experiment, budget, run, evaluate(probe, train, experiment.splits, run))
    note(f"after {shown(budget.spent())}: cross-validated accuracy {100 * search.best.accuracy:.1f} % (linear probe)")
    try:
        if reads_all and reading.n_tokens:
            search.best = search.evaluate(_after(reading, probe, data.source, run))
        elif reading.n_tokens >= MIN_TOKENS_READ:
            _read_while_it_pays(search, reading, data.source)
        if strategy != LINEAR_PROBE:
            search.fine_tune(forced=strategy == FINE_TUNE)
    except (KeyboardInterrupt, Interrupted):
        note("Stopped: the best classifier so far is kept. Press Ctrl-C again to keep nothing.")

    best = search.best
    report = replace(
        experiment.report(best, experiment.predict_test(best, run)),
        base=chosen.why,
        tried=tuple(search.tried),
        minutes=minutes,
        transductive=best.candidate.passes > 0 and (scoring.transductive or (reads_all and not len(experiment.test))),
    )
    return experiment.refit(best, report, chosen.whole, run, seconds=budget.spent())


def _read_while_it_pays(search: Search, reading: Reading, source: str) -> None:
    """Fine-tune the language model on a slice of the texts; if it pays, on as many as there is time for."""
    budget, probe = search.budget, search.best.candidate
    speed = tokens_per_second(probe.lm, reading.recipe.batch_size, search.run.device)
    for name, share in (("slice", SLICE), ("all", ALL)):
        seconds = budget.decide(Step.READING, f"seconds for {name}", share * budget.left())
        speed = budget.decide(Step.READING, "speed", speed)
        part = reading.within(seconds, tokens_per_second=speed, seed=search.run.seed)
        if part.n_tokens < MIN_TOKENS_READ:
            search.say(f"fine-tuning the language model was left out: {shown(seconds)} are too short to gain anything")
            return
        what = f"with the language model fine-tuned on {part.n_tokens:,} tokens of your texts, {part.passes} times"
        better = search.keep_if_better(search.evaluate(_after(part, probe, source, search.run)), what)
        if not better or part.n_tokens == reading.n_tokens:
            return


def _after(reading: Reading, candidate: Candidate, source: str, run: Run) -> Candidate:
    """The candidate with its language model fine-tuned on texts."""
    lm = fit_lm(reading.texts, base=candidate.lm, recipe=reading.recipe, source=source, run=run)
    return replace(candidate, lm=lm, passes=reading.passes)
