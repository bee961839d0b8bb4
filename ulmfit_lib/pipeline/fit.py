"""All three stages from one table: split, fine-tune, classify, score beside the baseline, deliver."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ulmfit_lib.artifact.catalogue import AUTO
from ulmfit_lib.data.reading import read_table
from ulmfit_lib.data.table import TextTable, check_labels, mention_single_labels
from ulmfit_lib.errors import Interrupted, OptionError
from ulmfit_lib.models.bases import load_bases
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.devices import find_device
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.budget import Budget, check_minutes, default_minutes, shown
from ulmfit_lib.pipeline.parts import PartsFitter
from ulmfit_lib.pipeline.plan import Reading, count_tokens, plan_reading, tokens_per_second
from ulmfit_lib.pipeline.search import Found, choose_base, try_fine_tuning, try_heads, try_reading
from ulmfit_lib.pipeline.task import Task
from ulmfit_lib.progress import note
from ulmfit_lib.stages.fit_lm import fit_lm
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.recipes import BY_SIZE, STRATEGIES, Recipe, find_recipe, override
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.topics import learn_topics

FEWEST_READ = 50_000  # tokens that reading must come to before it is tried
FIRST_SLICE, ALL_READING = 0.15, 0.45  # of the time that is left


def fit_csv(
    path: str | Path,
    *,
    text: str | Sequence[str],
    label: str,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    base: str | Path | LanguageModel = AUTO,
    strategy: str | None = None,
    seed: int = 42,
    device: str = "auto",
) -> TextClassifier:
    """A CSV of texts, some or all with labels -> a classifier: ``fit`` on ``read_table``, the rest at its defaults."""
    table = read_table(path, text=text, label=label, encoding=encoding, delimiter=delimiter)
    return fit(table, base=base, strategy=strategy, seed=seed, device=device)


def fit(
    data: TextTable,
    *,
    base: str | Path | LanguageModel = AUTO,
    direction: str | None = None,
    recipe: str | Recipe = "cpu",
    strategy: str | None = None,
    minutes: float | None = None,
    test_fraction: float | None = None,
    folds: int | None = None,
    lm_epochs: int | None = None,
    class_weights: str | None = None,
    with_baseline: bool = True,
    transductive: bool = False,
    seed: int = 42,
    device: str = "auto",
    checkpoints: Checkpoints | None = None,
) -> TextClassifier:
    """All of ULMFiT from one table within a given time, and an honest word on what it is worth.

    1. Every labelled row is scored by classifiers that have not learnt its label (five folds; texts that are alike
       share one). Of more than 2,000 labelled rows, a fifth is held out and scored instead.
    2. Heads on the frozen encoders of each base come first: seconds, and a first score. Beside them stand TF-IDF +
       logistic regression, and the same on topics of the texts without a label, where these are many.
    3. Where there is time, the language model reads the texts without a label (``fit_lm``), a slice of them first, and
       the encoder learns the labels (``fit_classifier``), fold by fold. Each is kept only if rows that were not learnt
       from are told better by it.
    4. What is delivered is what all parts say together, weighed by log loss, fitted to all labelled rows.

    Ctrl-C delivers the best so far.

    Args:
        data: texts; a row without a label feeds the language model and the topics only.
        base: a pretrained model's name, a folder, a language model; or ``auto``: the embedded model whose frozen
            encoders tell most of the labels.
        direction: ``forward``, ``backward`` or ``both``; default all that the base has.
        recipe: the hyperparameters of all stages: ``cpu`` (ours), ``paper``, ``scripts``, ``fastai``, ``multifit``, or
            one of your own (``training.recipes``). Others than ours read and fine-tune, whatever it takes.
        strategy: ``features`` (the head alone learns the labels), ``fine-tune`` (the encoder, too, whatever it takes),
            or ``auto``: what pays within the time; default the recipe's.
        minutes: to spend; default 1 for a hundred short texts, 2 for five hundred, 10 for a thousand reviews and four
            thousand unlabelled ones.
        test_fraction: hold out this share of the labelled rows, instead of scoring all of them in folds.
        folds: score all labelled rows in so many folds, however many rows there are.
        lm_epochs: epochs of the language model over the texts, whatever they take and bring.
        class_weights: ``balanced`` or None.
        with_baseline: off, ULMFiT alone is scored and delivered.
        transductive: the language model may read the scored rows' texts, too (never their labels), and the report says
            so: right where the texts to be labelled are all there already.
        seed: of the split and all training.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoints: where to keep them; a run that was stopped goes on from there.

    Returns:
        The classifier; its ``training.report`` holds the scores and one sentence about them.

    Raises:
        DataError: labels that cannot be learnt from.
        ArtifactError: no such base.
        OptionError: an option out of range.
    """
    chosen = find_recipe(recipe) if isinstance(recipe, str) else recipe
    chosen = replace(chosen, fit_classifier=override(chosen.fit_classifier, class_weights=class_weights))
    strategy = strategy or chosen.strategy
    if strategy not in (*STRATEGIES, BY_SIZE):
        raise OptionError(f"strategy {strategy!r}; known are {', '.join(STRATEGIES)}, {BY_SIZE}")
    if minutes is not None:
        check_minutes(minutes)
    if folds is not None and folds < 2:
        raise OptionError(f"--folds {folds}: at least 2 are needed")
    if folds and test_fraction:
        raise OptionError("--folds scores all labelled rows, and --test-fraction only a part of them: give one of them")
    chosen_device = find_device(device)
    check_labels(data)  # before a base is read
    mention_single_labels(data)
    task = Task.of(data, test_fraction=test_fraction, folds=folds, seed=seed, transductive=transductive)
    bases, why = load_bases(base, task.learnt.texts, direction=direction, seed=seed)
    forced_reading = bool(lm_epochs) or not chosen.epochs_by_length
    texts = task.every_text if forced_reading else task.texts
    n_tokens = count_tokens(texts, bases[0])
    minutes = minutes or default_minutes(n_tokens + count_tokens(task.learnt.texts, bases[0]), len(task.learnt))
    budget = Budget(minutes, checkpoints.folder if checkpoints else None)
    note(task.sentence(minutes) + budget.going_on())
    topics = learn_topics(task.texts, labelled=len(task.learnt), seed=seed) if with_baseline else None

    def read(table: TextTable, lm: LanguageModel) -> PartsFitter:
        return PartsFitter.read(
            table,
            lm=lm.only(direction),
            recipe=chosen.fit_classifier,
            strategy="features",
            topics=topics,
            with_baseline=with_baseline,
            seed=seed,
            device=chosen_device,
            checkpoints=checkpoints,
        )

    def read_texts(reading: Reading) -> LanguageModel:
        return fit_lm(
            reading.texts,
            base=lm.only(direction),
            recipe=reading.recipe,
            source=data.source,
            run=Run(seed=seed, device=device, checkpoints=checkpoints),
        )

    lm, reason = choose_base(bases, task.learnt, task.splits, read=read, seed=seed)
    why = reason or why
    note(why)
    fitter = read(task.learnt, lm)
    found = Found.of(fitter, try_heads(fitter, task.learnt, task.splits))
    note(
        f"after {shown(budget.spent())}: heads on the frozen encoder and what stands beside them are right for "
        f"{100 * found.right:.1f} % of the rows that they have not learnt from"
    )
    try:
        if forced_reading and len(texts):
            reads = replace(chosen.fit_lm, epochs=lm_epochs) if lm_epochs else chosen.fit_lm
            fitter = fitter.instead(task.learnt, lm=read_texts(Reading(texts, reads, n_tokens)))
            unseen = try_heads(fitter, task.learnt, task.splits, beside=found.unseen)
            found = Found.of(fitter, unseen, has_read=True)
        elif n_tokens >= FEWEST_READ:
            found = _read_while_it_pays(found, task, budget, chosen, n_tokens=n_tokens, read=read_texts, seed=seed)
        if strategy != "features":
            forced = strategy == "fine-tune"
            found = try_fine_tuning(
                found, task.learnt, task.splits, budget, forced=forced, fits=1 + bool(len(task.test))
            )
    except (KeyboardInterrupt, Interrupted):
        note("Stopped: the best classifier so far is delivered. Press Ctrl-C again to deliver nothing.")
    report, fitter = task.score(found)
    return task.deliver(
        found,
        report,
        fitter,
        base=why,
        lm=lm,
        minutes=minutes,
        seconds=budget.spent(),
        transductive=found.has_read and (transductive or (forced_reading and not len(task.test))),
    )


def _read_while_it_pays(
    found: Found,
    task: Task,
    budget: Budget,
    recipe: Recipe,
    *,
    n_tokens: int,
    read: Callable[[Reading], LanguageModel],
    seed: int,
) -> Found:
    """A slice of the texts first; if the labels are told better by it, as much as there is time for."""
    fitter = found.fitter
    speed = tokens_per_second(fitter.lm, recipe.fit_lm.batch_size, fitter.device)
    for name, share in (("slice", FIRST_SLICE), ("reading", ALL_READING)):
        seconds = budget.decide(f"seconds for {name}", share * budget.left())
        reading = plan_reading(
            task.texts,
            n_tokens,
            recipe.fit_lm,
            seconds=seconds,
            tokens_per_second=budget.decide("speed", speed),
            ways=len(fitter.lm.weights),
            seed=seed,
        )
        if reading.n_tokens < FEWEST_READ:
            told = f"reading your texts was left out: what {shown(seconds)} allow is too little to bring anything"
            note(told)
            return replace(found, told=(*found.told, told))
        after = try_reading(found, task.learnt, task.splits, reading, read=read)
        if after.fitter.lm is found.fitter.lm or reading.n_tokens == n_tokens:
            return after
        found = after
    return found
