"""A search for better settings than the defaults, with an honest end: what it gained on rows that it never saw."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ulmfit_lib.artifact.catalogue import AUTO
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.data.table import TextTable, check_labels, mention_single_labels
from ulmfit_lib.errors import DataError
from ulmfit_lib.evaluation.mcnemar import SIGNIFICANT
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.budget import Budget, check_minutes, shown
from ulmfit_lib.pipeline.gain import Gain, HeldOut, gain_sentence
from ulmfit_lib.pipeline.task import HELD_OUT, Task
from ulmfit_lib.pipeline.trials import POOLINGS, Params, Trials
from ulmfit_lib.pipeline.tuner import Tuner, digest
from ulmfit_lib.progress import counted, note
from ulmfit_lib.training.checkpoints import Checkpoints

MINUTES = 30.0
FEWEST_ROWS = 40  # below, chance alone would choose


@dataclass(frozen=True, eq=False)
class Tuned:
    """What a search came to.

    Attributes:
        classifier: what is delivered, fitted to all labelled rows, with a report like that of ``fit``.
        sentence: whether the search gained anything, for people.
        gained: the best trial is delivered; else the defaults are.
        settings: of the best trial.
        trials: one row each, JSON-ready: settings, log loss, share of right answers, seconds.
        scores: JSON-ready: the gain out of fold, and that on the held-out rows, beside the defaults.
    """

    classifier: TextClassifier
    sentence: str
    gained: bool
    settings: Params
    trials: list[dict[str, Any]]
    scores: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """For JSON, without the classifier."""
        return {
            "sentence": self.sentence,
            "gained": self.gained,
            "settings": self.settings,
            **self.scores,
            "trials": self.trials,
        }


def tune(
    data: TextTable,
    *,
    folder: str | Path,
    bases: Sequence[str | Path | LanguageModel] = (AUTO,),
    direction: str | None = None,
    minutes: float = MINUTES,
    most_trials: int | None = None,
    test_fraction: float = HELD_OUT,
    seed: int = 42,
    device: str = "auto",
    checkpoints: Checkpoints | None = None,
) -> Tuned:
    """Search for settings that tell the labels better than the defaults do, within a given time (with optuna).

    1. A part of the labelled rows is held out; the search never sees it. Texts that are alike stay together.
    2. Each trial is scored on the other rows, out of fold, by the log loss of what would be delivered: ULMFiT, TF-IDF
       and topics together. The defaults come first, then heads on the frozen encoders of every base with every pooling,
       then fine-tuning with pooling, epochs, rate and dropout as optuna draws them. A trial that is behind the median
       of those before it after two folds is stopped.
    3. The best and the defaults are fitted alike to the rows of the search, and compared on the held-out ones.
    4. The best is delivered if its lead out of fold is more than the best of so many trials has by chance; else the
       defaults are. What is delivered is fitted to all labelled rows.

    Args:
        data: texts and labels; topics are learnt from texts without a label.
        folder: keeps the trials; the same call with the same folder goes on with a search that was stopped.
        bases: language models to try: names, folders, models, or ``auto`` for all that are embedded.
        direction: ``forward``, ``backward`` or ``both``; default all that each base has.
        minutes: to spend on the search, in all runs together; the last fits are allowed for.
        most_trials: to stop after, even if there is time left.
        test_fraction: share of the labelled rows to hold out.
        seed: of the split, the training and what is drawn.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoints: of fine-tuning; a trial that was stopped goes on from there.

    Raises:
        DataError: labels that cannot be learnt from, or too few.
        ArtifactError: no such base, or the folder cannot be written.
        OptionError: an option out of range, or optuna is not installed.
        TrainingError: the folder holds another search, or its file is locked or damaged.
    """
    check_minutes(minutes)
    started = time.monotonic()
    check_labels(data)
    mention_single_labels(data)
    if (labels := len(data.labelled())) < FEWEST_ROWS:
        raise DataError(f"{data.source}: {labels} labelled rows; a search needs {FEWEST_ROWS} at least")
    task = Task.of(data, test_fraction=test_fraction, folds=None, transductive=False, seed=seed)
    search = Tuner.of(task, bases, direction=direction, seed=seed, device=device, checkpoints=checkpoints)
    models = {name: lm.sha256()[:12] for name, lm in search.bases.items()}
    run = {
        "the data": data.sha256()[:12],
        "the held-out share": f"{test_fraction:g}",
        "the seed": str(seed),
        "the bases": ", ".join(f"{name} ({models[name]})" for name in sorted(models)),
        "the direction": direction or "all",
        "the space of settings": digest(f"{search.space} {POOLINGS}"),
    }
    forgotten = _forgotten_seconds(Path(folder), checkpoints)
    trials = Trials(Path(folder), search.space, run, seed=seed)
    budget = Budget(minutes, before=trials.seconds + forgotten + time.monotonic() - started)
    going_on = ""
    if trials.seconds:
        going_on = (
            f" This goes on with a search that was stopped: it keeps {counted(len(trials.done), 'trial')}, and has "
            f"{shown(max(0.0, budget.seconds - budget.spent()))} left."
        )
    note(task.sentence(minutes) + going_on)
    with trials.in_a_sentence():
        trials.spend(budget.spent())
        search.run(trials, budget, most_trials)
        return _compare(search, trials, minutes=minutes, seconds=budget.spent())


def _forgotten_seconds(folder: Path, checkpoints: Checkpoints | None) -> float:
    """For how long a run that was killed had been at work since its trials were written, as its checkpoints tell."""
    files = list(folder.glob("trials.db"))
    if not files or not checkpoints:
        return 0.0
    newest = max((file.stat().st_mtime for file in checkpoints.folder.rglob("*.pt")), default=0.0)
    return max(0.0, newest - files[0].stat().st_mtime)


def _compare(search: Tuner, trials: Trials, *, minutes: float, seconds: float) -> Tuned:
    """The best trial and the defaults on the held-out rows, and a classifier by the better of both."""
    task, best = search.task, trials.best
    others = len(trials.done) - 1
    default = search.found(trials.default, trials)
    found = default if best.number == trials.default.number else search.found(best, trials)
    losses = [one.unseen.row_losses(one.delivered[ENSEMBLE]) for one in (default, found)]
    ahead = Gain.of(losses[0], losses[1], chance=SIGNIFICANT / max(1, others), folds=len(task.splits))
    gained = ahead.low > 0
    said = {"default": task.predict_test(default)}
    said["best"] = said["default"] if found is default else task.predict_test(found)
    held_out = HeldOut.of(task, {name: probabilities[ENSEMBLE] for name, (probabilities, _) in said.items()})
    sentence = gain_sentence(best.params, default, found, ahead, others, held_out)
    chosen = replace(found if gained else default, told=(sentence,))
    probabilities, fitter = said["best" if gained else "default"]
    settings = best.params if gained else search.space.default
    same = settings["base"] == search.space.default["base"]
    why = search.why if same else f"base {settings['base']}: the best settings of the search use it"
    report = task.report_test(chosen, probabilities)
    classifier = task.deliver(
        chosen,
        report,
        fitter,
        base=why,
        lm=search.bases[settings["base"]],
        transductive=False,
        minutes=minutes,
        seconds=seconds,
    )
    scores = {
        "minutes": minutes,
        "seconds": round(seconds),
        "default_settings": search.space.default,
        "out_of_fold": {"default": default.nats, "best": found.nats, "gain": asdict(ahead)},
        "held_out": asdict(held_out),
    }
    return Tuned(classifier, sentence, gained, best.params, trials.table(), scores)
