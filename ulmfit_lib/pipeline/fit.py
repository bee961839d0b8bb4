"""All three stages from one table: split, fine-tune, classify, score beside the baseline, deliver."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ulmfit_lib.artifact.catalogue import AUTO
from ulmfit_lib.data.reading import read_table
from ulmfit_lib.data.table import TextTable, check_labels, mention_single_labels
from ulmfit_lib.errors import OptionError
from ulmfit_lib.linear.blend import Blend
from ulmfit_lib.models.bases import load_base
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.devices import find_device
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.cross_validation import cross_validate
from ulmfit_lib.pipeline.parts import PartsFitter, Unseen
from ulmfit_lib.pipeline.plan import plan_fit
from ulmfit_lib.pipeline.report import Report, report_on
from ulmfit_lib.progress import note
from ulmfit_lib.stages.fit_lm import fit_lm
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.recipes import BY_SIZE, STRATEGIES, Recipe, find_recipe, override


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
    test_fraction: float = 0.2,
    folds: int | None = None,
    lm_epochs: int | None = None,
    class_weights: str | None = None,
    with_baseline: bool = True,
    transductive: bool = False,
    seed: int = 42,
    device: str = "auto",
    checkpoints: Checkpoints | None = None,
) -> TextClassifier:
    """All of ULMFiT from one table, and an honest word on what it is worth.

    1. A fifth of the labelled rows is held out; no model reads them before they are scored.
    2. The base goes on reading all other texts, labelled or not (``fit_lm``).
    3. Classifiers learn the other rows' labels: ULMFiT, TF-IDF + logistic regression, the same on topics where most
       texts have no label; and all weighed together by log loss on rows that they had not learnt from. All are scored
       on the held-out rows.
    4. What is delivered is what they say together, all of them now fitted to all labelled rows.

    Args:
        data: texts; a row without a label feeds the language model only.
        base: a pretrained model's name, a folder, a language model; or ``auto``: the embedded model that predicts a
            sample of the texts best.
        direction: ``forward``, ``backward`` or ``both``; default all that the base has.
        recipe: the hyperparameters of all stages: ``cpu`` (ours), ``paper``, ``scripts``, ``fastai``, ``multifit``, or
            one of your own (``training.recipes``).
        strategy: ``features`` (the head alone learns the labels), ``fine-tune`` (then the encoder, too; slower), or
            ``auto``: the latter where the labelled texts are few enough, and, from a base that was taught, where it is
            better on rows not learnt from; default the recipe's.
        test_fraction: share of the labelled rows that is held out.
        folds: hold out each of so many parts of the labelled rows in turn instead (``cross_validation``); then all
            texts are read. The report holds every row's out-of-fold probabilities.
        lm_epochs: epochs of the language model over all texts; default by their length, where there are very many on a
            random part of them, or the recipe's if it is not ours.
        class_weights: ``balanced`` or None.
        with_baseline: off, ULMFiT alone is scored and delivered.
        transductive: the language model reads the held-out texts, too (never their labels), and the report says so:
            right where the texts to be labelled are all there already.
        seed: of the split and all training.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoints: where to keep them; a run that was stopped goes on from there.

    Returns:
        The classifier; its ``training["report"]`` holds the held-out scores and one sentence about them.

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
    started, chosen_device = time.monotonic(), find_device(device)
    check_labels(data)  # before the base is read
    mention_single_labels(data)
    train, test = (data, data.select([])) if folds else data.split(test_fraction, seed=seed)
    pretrained, why = load_base(base, train.texts, direction=direction, seed=seed)
    note(why)
    texts = data.texts if transductive else train.texts
    plan = plan_fit(
        train, texts, base=pretrained, ways=len(pretrained.directions(direction)), device=chosen_device, recipe=chosen,
        strategy=strategy, folds=folds, lm_epochs=lm_epochs,
    )  # fmt: skip
    held_out = f"{folds} folds" if folds else f"{len(test)} held out"
    note(plan.sentence(data, train, held_out, seconds=plan.seconds(pretrained, chosen_device)))

    def prepare(learnt: TextTable, texts: Sequence[str]) -> PartsFitter:
        read, lm = plan.part(texts, seed=seed), pretrained.only(direction)
        if len(read):
            lm = fit_lm(
                read, base=pretrained, direction=direction, recipe=plan.fit_lm, seed=seed, device=device,
                source=data.source, checkpoints=checkpoints,
            )  # fmt: skip
        return PartsFitter.read(
            learnt, lm=lm, texts=read, recipe=chosen.fit_classifier, strategy=plan.strategy,
            scored_folds=plan.scored_folds, with_baseline=with_baseline, seed=seed, device=device,
            checkpoints=checkpoints,
        )  # fmt: skip

    if folds:
        report = _score_by_folds(data, folds=folds, prepare=prepare, frozen=plan.strategy == "features", seed=seed)
        fitter = prepare(train.labelled(), texts)
        blend = fitter.weigh(fitter.out_of_fold(train.labelled()))
    else:
        fitter = prepare(train.labelled(), texts)
        unseen = fitter.out_of_fold(train.labelled())
        if strategy == BY_SIZE and fitter.strategy == "fine-tune" and fitter.lm.architecture.taught:
            fitter, unseen = _better_strategy(fitter, unseen, train.labelled())
        report, fitter, blend = _score_held_out(fitter, unseen, train.labelled(), test)
    final = fitter.fit(data.labelled(), blend)
    report = replace(
        report, base=why, copies=train.copies, transductive=transductive, blend=blend,
        base_has_read=tuple(stage.get("source", "") for stage in pretrained.training.get("stages", [])),
        labelled_rows=len(data.labelled()) - len(test),
    )  # fmt: skip
    stages = final.training["stages"]
    stages[-1] = {**stages[-1], "all_seconds": round(time.monotonic() - started)}
    return replace(final, training={**final.training, "report": report.as_dict(), "stages": stages})


def _score_by_folds(
    data: TextTable, *, folds: int, prepare: Callable[[TextTable, Sequence[str]], PartsFitter], frozen: bool, seed: int
) -> Report:
    """Every labelled row scored by those that have not read it."""
    found = cross_validate(data, folds=folds, prepare=prepare, frozen=frozen, seed=seed)
    table = data.labelled()
    report = report_on(found.probabilities, table, table.classes, learnt=table)
    return replace(report, folds=folds, out_of_fold=found.as_dict())


def _better_strategy(
    tuned: PartsFitter, unseen: Unseen | None, train: TextTable
) -> tuple[PartsFitter, Unseen | None]:  # fmt: skip
    """Whether the encoder learns the labels or the head alone does, by log loss on rows that were not learnt from.

    What an encoder was taught about meaning can be worth more than what few labels teach it.
    """
    if unseen is None:
        return tuned, unseen
    frozen = tuned.frozen(train)
    also = frozen.out_of_fold(train)
    if also is None or unseen.nats(tuned.weigh(unseen)) <= also.nats(frozen.weigh(also)):
        return tuned, unseen
    note("the head alone learns the labels: on rows not learnt from, that is better than fine-tuning the encoder")
    return frozen, also


def _score_held_out(
    fitter: PartsFitter, unseen: Unseen | None, train: TextTable, test: TextTable
) -> tuple[Report, PartsFitter, Blend]:  # fmt: skip
    """The report on held-out rows, a fitter that knows their texts, too, and the weights of the parts."""
    blend = fitter.weigh(unseen)
    trial = fitter.fit(train, blend)
    features = trial.features(test.texts, device=fitter.device)
    report = report_on(
        trial.probabilities(test.texts, features=features), test, trial.classes, learnt=train,
        also_unseen=(blend.apply(unseen.parts), unseen.targets) if unseen else None,
    )  # fmt: skip
    known = features if fitter.strategy == "features" else fitter.read_features(test)
    return report, fitter.knowing(test, known), blend
