"""A search for better settings than the defaults, with an honest end: what it gained on rows that it never saw."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ulmfit_lib.artifact.catalogue import AUTO
from ulmfit_lib.data.table import TextTable, check_learnable
from ulmfit_lib.errors import DataError
from ulmfit_lib.evaluation.metrics import SIGNIFICANT
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.bases import choose_base, find_bases
from ulmfit_lib.pipeline.budget import Budget, check_minutes, shown
from ulmfit_lib.pipeline.candidates import Candidate
from ulmfit_lib.pipeline.experiment import HELD_OUT, Experiment, Scoring
from ulmfit_lib.pipeline.gain import Gain, HeldOut, gain_sentence
from ulmfit_lib.pipeline.scoping import other_texts
from ulmfit_lib.pipeline.trials import POOLINGS, Params, Space, Trials
from ulmfit_lib.pipeline.tuner import Tuner, digest
from ulmfit_lib.progress import counted, note
from ulmfit_lib.stages.fit_classifier import CLASSIFY
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.tfidf import learn_topics

MINUTES = 30.0
MIN_ROWS = 40  # below, chance alone would choose


@dataclass(frozen=True, eq=False)
class Tuned:
    """What a search came to.

    Attributes:
        classifier: the best or the defaults, fitted to all labelled rows, with a report like that of ``fit``.
        sentence: whether the search gained anything, for people.
        gained: whether the classifier is the best trial; else it is the defaults.
        settings: of the best trial.
        trials: one row each, JSON-ready: settings, log loss, accuracy, seconds.
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
    max_trials: int | None = None,
    test_fraction: float = HELD_OUT,
    run: Run | None = None,
) -> Tuned:
    """Search for settings with less log loss than the defaults, within a given time (with optuna).

    1. A part of the labelled rows is held out; the search never sees it. Texts that are alike stay together.
    2. Each trial is cross-validated on the other rows, by the log loss of the ensemble of ULMFiT, TF-IDF and topics.
       The defaults come first, then linear probes on every base with every pooling, then contrastive learning and
       fine-tuning in turns, with epochs and rates, of fine-tuning also pooling and dropout, as optuna draws them. A
       trial that is behind the median of those before it after two folds is stopped.
    3. The best and the defaults are fitted alike to the rows of the search, and compared on the held-out ones.
    4. The best is kept if its lead out of fold is more than the best of so many trials has by chance; else the
       defaults are. What is kept is refitted to all labelled rows.

    Args:
        data: texts and labels; topics are learnt from texts without a label.
        folder: keeps the trials; the same call with the same folder continues a search that was stopped.
        bases: language models to try: names, folders, models, or ``auto`` for all that are embedded.
        direction: ``forward``, ``backward`` or ``both``; default all that each base has.
        minutes: to spend on the search, in all runs together; the last fits are allowed for.
        max_trials: to stop after, even if there is time left.
        test_fraction: share of the labelled rows to hold out.
        run: seed, device and checkpoints; a trial that was stopped continues from these.

    Raises:
        DataError: labels that cannot be learnt from, or too few.
        ArtifactError: no such base, or the folder cannot be written.
        OptionError: an option out of range, or optuna is not installed.
        TrainingError: the folder holds another search, or its file is locked or damaged.
    """
    run = run or Run()
    check_minutes(minutes)
    check_learnable(data)
    started = time.monotonic()
    if (labels := len(data.labelled())) < MIN_ROWS:
        raise DataError(f"{data.source}: {labels} labelled rows; a search needs {MIN_ROWS} at least")
    experiment = Experiment.of(data, Scoring(test_fraction), seed=run.seed)
    found = find_bases(bases, experiment.train.texts, direction=direction, seed=run.seed)
    chosen = choose_base(found, Candidate(found[0].lm), experiment, run)
    by_name = {chosen.name: chosen, **{base.name: base for base in found if base.name != chosen.name}}
    reading_words = [name for name, base in by_name.items() if base.lm.reads_words_alone]
    space = Space(list(by_name), CLASSIFY.for_texts(len(experiment.train)), reading_words)
    topics = learn_topics(experiment.texts, labelled=len(experiment.train), seed=run.seed)
    others = other_texts(data, seed=run.seed, share=min(1.0, minutes))
    tuner = Tuner(experiment, by_name, space, run, topics, others)
    hashes = ", ".join(
        f"{name} ({digest(f'{base.lm.sha256()} {base.lm.architecture}')})" for name, base in sorted(by_name.items())
    )
    facts = {
        "the data": data.sha256()[:12],
        "the held-out share": f"{test_fraction:g}",
        "the seed": str(run.seed),
        "the bases": hashes,
        "the direction": direction or "all",
        "the space of settings": digest(f"{space} {space.trained} {POOLINGS}"),
    }
    forgotten = _forgotten_seconds(Path(folder), run.checkpoints)
    trials = Trials(Path(folder), space, facts, seed=run.seed)
    budget = Budget(minutes, before=trials.seconds + forgotten + time.monotonic() - started)
    resumed = ""
    if trials.seconds:
        resumed = (
            f" This continues a search that was stopped: it keeps {counted(len(trials.done), 'trial')}, and has "
            f"{shown(max(0.0, budget.seconds - budget.spent()))} left."
        )
    note(experiment.sentence(minutes) + resumed)
    with trials.in_a_sentence():
        trials.spend(budget.spent())
        tuner.search(trials, budget, max_trials)
        return _compare(tuner, trials, minutes=minutes, seconds=budget.spent())


def _forgotten_seconds(folder: Path, checkpoints: Checkpoints | None) -> float:
    """For how long a run that was killed had been at work since its trials were written, as its checkpoints tell."""
    files = list(folder.glob("trials.db"))
    if not files or not checkpoints:
        return 0.0
    newest = max((file.stat().st_mtime for file in checkpoints.folder.rglob("*.pt")), default=0.0)
    return max(0.0, newest - files[0].stat().st_mtime)


def _compare(tuner: Tuner, trials: Trials, *, minutes: float, seconds: float) -> Tuned:
    """The best trial and the defaults on the held-out rows, and a classifier by the better of both."""
    experiment, run = tuner.experiment, tuner.run
    others = len(trials.done) - 1
    best_trial, is_default = trials.best, trials.best.number == trials.default.number
    default = tuner.evaluated(trials.default, trials)
    best = default if is_default else tuner.evaluated(best_trial, trials)
    ahead = Gain.of(
        default.row_losses, best.row_losses, chance=SIGNIFICANT / max(1, others), folds=len(experiment.splits)
    )
    gained = ahead.low > 0
    tested = {"default": experiment.predict_test(default, run)}
    tested["best"] = tested["default"] if is_default else experiment.predict_test(best, run)
    held_out = HeldOut.of(experiment, {name: answers for name, answers in tested.items() if answers})
    sentence = gain_sentence(best_trial.params, default, best, ahead, others, held_out)
    kept = best if gained else default
    settings = best_trial.params if gained else tuner.space.default
    base = tuner.bases[settings["base"]]
    same = settings["base"] == tuner.space.default["base"]
    report = replace(
        experiment.report(kept, tested["best" if gained else "default"]),
        base=base.why if same else f"base {base.name}: the best settings of the search use it",
        tried=(sentence,),
        minutes=minutes,
        share_of_time=min(1.0, minutes),
    )
    classifier = experiment.refit(kept, report, base.whole, run, seconds=seconds, known=experiment.data.texts)
    scores = {
        "minutes": minutes,
        "seconds": round(seconds),
        "default_settings": tuner.space.default,
        "out_of_fold": {"default": default.log_loss, "best": best.log_loss, "gain": asdict(ahead)},
        "held_out": asdict(held_out),
    }
    return Tuned(classifier, sentence, gained, best_trial.params, trials.table(), scores)
