"""All three stages from one table: split, fine-tune, classify, score beside the baseline, deliver."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ulmfit_lib.cross_validation import cross_validate
from ulmfit_lib.data.reading import read_csv
from ulmfit_lib.data.table import TextTable, check_labels, mention_single_labels
from ulmfit_lib.errors import OptionError
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.devices import find_device
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.pretrained import AUTO, load_base
from ulmfit_lib.parts import PartsFitter
from ulmfit_lib.planning import plan_fit
from ulmfit_lib.progress import note
from ulmfit_lib.report import majority_share, report_on, report_on_ratings
from ulmfit_lib.stages import STRATEGIES, fit_lm, override
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.recipes import BY_SIZE, Recipe, find_recipe


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
    """A CSV of texts, some or all with labels -> a classifier: ``fit`` on ``read_csv``, the rest at its defaults."""
    table = read_csv(path, text=text, label=label, encoding=encoding, delimiter=delimiter)
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
            ``auto``: the latter where the labelled texts are few enough; default the recipe's.
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
    strategy = strategy or chosen.strategy
    if strategy not in (*STRATEGIES, BY_SIZE):
        raise OptionError(f"strategy {strategy!r}; known are {', '.join(STRATEGIES)}, {BY_SIZE}")
    started = time.monotonic()
    check_labels(data)  # before the base is read
    mention_single_labels(data)
    train, test = (data, data.select([])) if folds else data.split(test_fraction, seed=seed)
    pretrained, why = load_base(base, train.texts, direction=direction, seed=seed)
    note(why)
    texts = data.texts if transductive else train.texts
    classify = override(chosen.fit_classifier, class_weights=class_weights)
    plan = plan_fit(
        train, texts, base=pretrained, ways=len(pretrained.directions(direction)), device=find_device(device),
        recipe=replace(chosen, fit_classifier=classify), strategy=strategy, folds=folds, lm_epochs=lm_epochs,
    )  # fmt: skip
    strategy = plan.strategy
    held_out = f"{folds} folds" if folds else f"{len(test)} held out"
    note(plan.sentence(data, train, held_out, seconds=plan.seconds(pretrained, find_device(device))))

    def prepare(learnt: TextTable, texts: Sequence[str]) -> PartsFitter:
        read, lm = plan.part(texts, seed=seed), pretrained.only(direction)
        if len(read):
            lm = fit_lm(
                read, base=pretrained, direction=direction, recipe=plan.fit_lm, seed=seed, device=device,
                source=data.source, checkpoints=checkpoints,
            )  # fmt: skip
        return PartsFitter.read(
            learnt, lm=lm, texts=read, recipe=classify, strategy=strategy, scored_folds=plan.scored_folds,
            with_baseline=with_baseline, seed=seed, device=device, checkpoints=checkpoints,
        )  # fmt: skip

    report: dict[str, Any] = {
        "base": why, "base_has_read": [stage.get("source", "") for stage in pretrained.training.get("stages", [])],
        "copies": train.copies, "transductive": transductive,
    }  # fmt: skip
    if folds:
        found = cross_validate(data, folds=folds, prepare=prepare, frozen=strategy == "features", seed=seed)
        majority = majority_share(found.targets, found.targets)
        report |= report_on(found.probabilities, found.targets, data.classes, majority=majority)
        report |= {"folds": folds, "out_of_fold": found.as_dict()}
        if data.numbers is not None:
            report |= report_on_ratings(found.probabilities, learnt=data.labelled(), test=data.labelled())
    fitter = prepare(train.labelled(), texts)
    unseen = fitter.out_of_fold(train.labelled())
    blend = fitter.weigh(unseen)
    if not folds:
        trial = fitter.fit(train.labelled(), blend)
        features = trial.features(test.texts, device=find_device(device))
        targets, learnt = (part.labelled().class_numbers(trial.classes) for part in (test, train))
        said = trial.probabilities(test.texts, features=features)
        report |= report_on(
            said, targets, trial.classes,
            majority=majority_share(learnt, targets),
            also_unseen=(blend.apply(unseen.parts), unseen.targets) if unseen else None,
        )  # fmt: skip
        if test.numbers is not None:
            report |= report_on_ratings(said, learnt=train.labelled(), test=test)
        fitter = fitter.knowing(test, features if strategy == "features" else fitter.read_features(test))
    report |= {"blend": asdict(blend), "labelled_rows": len(data.labelled()) - len(test)}
    if transductive:
        report["sentence"] += " The language model had read these rows' texts, without their labels (transductive)."
    final = fitter.fit(data.labelled(), blend)
    stages = final.training["stages"]
    stages[-1] = {**stages[-1], "all_seconds": round(time.monotonic() - started)}
    return replace(final, training={**final.training, "report": report, "stages": stages})
