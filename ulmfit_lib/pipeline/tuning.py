"""A search for better settings than the defaults, with an honest end: what it gained on rows that it never saw."""

import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from ulmfit_lib.artifact.catalogue import AUTO
from ulmfit_lib.data.table import TextTable, check_labels, mention_single_labels
from ulmfit_lib.errors import DataError, OptionError, TrainingError
from ulmfit_lib.models.bases import load_bases
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.devices import find_device
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.budget import Budget, shown
from ulmfit_lib.pipeline.gain import Gain, HeldOut, gain_sentence
from ulmfit_lib.pipeline.parts import PartsFitter
from ulmfit_lib.pipeline.plan import FineTuningTime
from ulmfit_lib.pipeline.report import SIGNIFICANT
from ulmfit_lib.pipeline.search import Found, choose_base
from ulmfit_lib.pipeline.task import HELD_OUT, Task
from ulmfit_lib.pipeline.trials import AGAIN, POOLINGS, Params, Space, Trials
from ulmfit_lib.pipeline.unseen import Unseen, joined
from ulmfit_lib.progress import bar, counted, note
from ulmfit_lib.stages.fit_classifier import CLASSIFY
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.topics import learn_topics

MINUTES = 30.0
FEWEST_ROWS = 40  # below, chance alone would choose
FINAL_FITS = 2  # on the rows of the search, and on all of them


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
            "sentence": self.sentence, "gained": self.gained, "settings": self.settings, **self.scores,
            "trials": self.trials,
        }  # fmt: skip


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
        ArtifactError: no such base.
        OptionError: an option out of range, or optuna is not installed.
        TrainingError: the folder holds another search.
    """
    if not 0 < minutes < math.inf:
        raise OptionError(f"--minutes {minutes:g}: give a number of minutes that is more than 0")
    started = time.monotonic()
    check_labels(data)
    mention_single_labels(data)
    if (labels := len(data.labelled())) < FEWEST_ROWS:
        raise DataError(f"{data.source}: {labels} labelled rows; a search needs {FEWEST_ROWS} at least")
    task = Task.of(data, test_fraction=test_fraction, folds=None, transductive=False, seed=seed)
    search = _Search.of(task, bases, direction=direction, seed=seed, device=device, checkpoints=checkpoints)
    models = {name: lm.sha256()[:12] for name, lm in search.bases.items()}
    run = {
        "the data": data.sha256()[:12], "the held-out share": f"{test_fraction:g}", "the seed": str(seed),
        "the bases": ", ".join(f"{name} ({models[name]})" for name in sorted(models)),
        "the direction": direction or "all", "the space of settings": _digest(f"{search.space} {POOLINGS}"),
    }  # fmt: skip
    trials = Trials(Path(folder), search.space, run, seed=seed)
    budget = Budget(minutes, before=trials.seconds + time.monotonic() - started)
    going_on = ""
    if trials.seconds:
        going_on = (
            f" This goes on with a search that was stopped: it keeps {counted(len(trials.done), 'trial')}, and has "
            f"{shown(max(0.0, budget.seconds - budget.spent()))} left."
        )
    note(task.sentence(minutes) + going_on)
    with trials.kept():
        search.run(trials, budget, most_trials)
        return _compare(search, trials, minutes=minutes, seconds=budget.spent())


@dataclass
class _Search:
    """All that trials have in common."""

    task: Task
    bases: dict[str, LanguageModel]
    why: str
    space: Space
    options: dict[str, Any]
    checkpoints: Checkpoints | None
    times: dict[str, FineTuningTime] = field(default_factory=dict)

    @classmethod
    def of(
        cls, task: Task, bases: Sequence[str | Path | LanguageModel], *, direction: str | None, seed: int, device: str,
        checkpoints: Checkpoints | None,
    ) -> "_Search":  # fmt: skip
        """The bases are read, and that of the defaults is chosen as ``fit`` chooses it."""
        loaded: dict[str, LanguageModel] = {}
        reasons: dict[str, str] = {}
        for base in bases:
            models, said = load_bases(base, task.learnt.texts, direction=direction, seed=seed)
            for lm in models:
                own = base == AUTO or isinstance(base, LanguageModel)
                name = lm.training.get("name", "language model") if own else str(base)
                if loaded.setdefault(name, lm.only(direction)).sha256() != lm.only(direction).sha256():
                    raise OptionError(f"two bases are called {name!r}: save them, and give their folders")
                reasons[name] = said
        options: dict[str, Any] = {
            "topics": learn_topics(task.texts, labelled=len(task.learnt), seed=seed), "with_baseline": True,
            "seed": seed, "device": find_device(device),
        }  # fmt: skip

        def read(table: TextTable, lm: LanguageModel) -> PartsFitter:
            return PartsFitter.read(table, lm=lm, recipe=CLASSIFY, strategy="features", **options)

        names, models = list(loaded), list(loaded.values())
        chosen, why = choose_base(models, task.learnt, task.splits, read=read, seed=seed, names=names)
        names.sort(key=lambda name: loaded[name] is not chosen)
        space = Space(names, CLASSIFY.for_texts(len(task.learnt)))
        return cls(task, loaded, why or reasons[names[0]], space, options, checkpoints)

    def run(self, trials: Trials, budget: Budget, most: int | None) -> None:
        """Try one after the other, as long as there is time."""
        minutes = budget.seconds / 60
        with bar(total=minutes, initial=min(minutes, budget.spent() / 60), description="tuning", unit="min") as shows:

            def spend() -> None:
                trials.spend(budget.spent())
                shows.update(min(minutes, budget.spent() / 60) - shows.n)

            while trials.default is None or (budget.left() and (most is None or len(trials.done) < most)):
                trial, params = trials.ask(cache(lambda base: self.time(base).epochs(budget.left())))
                best = {"best": f"{trials.best.value:.3f}"} if trials.best else {}
                shows.set_postfix(refresh=False, trial=str(trial.number), **best)
                if not self.attempt(trial, params, trials, budget, spend):
                    note("the search ends here: there is no time for another trial (--minutes)")
                    return
                if self.checkpoints:
                    shutil.rmtree(self.checkpoints.folder / _name(params), ignore_errors=True)

    def attempt(self, trial: Any, params: Params, trials: Trials, budget: Budget, spend: Callable[[], None]) -> bool:
        """One trial, fold after fold, as long as it is not behind others.

        Returns:
            Whether there was time for it; if not, a run with more time takes it up.
        """
        started, default, splits = time.monotonic(), trials.default, self.task.splits
        if default and AGAIN not in trial.user_attrs and self.seconds(params, default) > budget.left():
            trials.leave(trial.number)
            return False
        beside = trials.unseen(default, self.task.data.kind) if default else None
        fitter, told, took = self.fitter(params, _name(params)), list[Unseen](), list[float]()
        reading = passed = time.monotonic() - started
        try:
            for one in fitter.out_of_fold(self.task.learnt, splits, beside=beside):
                told.append(one)
                took.append(time.monotonic() - started - passed)
                passed += took[-1]
                found = Found.of(fitter, joined(told))
                trial.report(found.nats, len(told) - 1)
                spend()
                left, each = len(splits) - len(told), max(took)
                if default and left and trial.should_prune():
                    trials.stop(trial, "behind the median", seconds=passed)
                    return True
                if default and left and left * each + FINAL_FITS * (reading + each) > budget.left():
                    return False
            trials.finish(trial, found.nats, found.right, found.unseen, seconds=passed)
        except TrainingError as error:
            if not default:
                raise
            note(f"trial {trial.number} is given up: {error}")
            trials.stop(trial, str(error), seconds=time.monotonic() - started)
        spend()
        return True

    def fitter(self, params: Params, name: str) -> PartsFitter:
        """What fits a table with these settings; its checkpoints have this name."""
        return PartsFitter.read(
            self.task.learnt, lm=self.bases[params["base"]], recipe=self.space.recipe_for(params),
            strategy=params["strategy"], checkpoints=self.checkpoints.within(name) if self.checkpoints else None,
            **self.options,
        )  # fmt: skip

    def seconds(self, params: Params, default: Any) -> float:
        """About how long a trial takes, with the fits at the end if it turns out the best."""
        if params["strategy"] == "features":
            return (1 + FINAL_FITS) * float(default.user_attrs["seconds"])
        return self.time(params["base"]).seconds(params["epochs"])

    def time(self, base: str) -> FineTuningTime:
        """That fine-tuning this base takes here; measured once."""
        if base not in self.times:
            self.times[base] = FineTuningTime.of(
                self.task.learnt, self.task.splits, self.space.recipe, lm=self.bases[base],
                device=self.options["device"], fits=FINAL_FITS,
            )  # fmt: skip
        return self.times[base]

    def found(self, trial: Any, trials: Trials) -> Found:
        """What a trial that is complete had come to, to be fitted to any rows."""
        unseen = trials.unseen(trial, self.task.data.kind)
        return Found.of(self.fitter(trial.params, f"last fits of trial {trial.number}"), unseen)


def _compare(search: _Search, trials: Trials, *, minutes: float, seconds: float) -> Tuned:
    """The best trial and the defaults on the held-out rows, and a classifier by the better of both."""
    task, best = search.task, trials.best
    others = len(trials.done) - 1
    default = search.found(trials.default, trials)
    found = default if best.number == trials.default.number else search.found(best, trials)
    losses = [one.unseen.row_losses(one.delivered["delivered"]) for one in (default, found)]
    ahead = Gain.of(losses[0], losses[1], chance=SIGNIFICANT / max(1, others), folds=len(task.splits))
    gained = ahead.low > 0
    said = {"default": task.predict_test(default)}
    said["best"] = said["default"] if found is default else task.predict_test(found)
    held_out = HeldOut.of(task, {name: probabilities["delivered"] for name, (probabilities, _) in said.items()})
    sentence = gain_sentence(best.params, default, found, ahead, others, held_out)
    chosen = replace(found if gained else default, told=(sentence,))
    probabilities, fitter = said["best" if gained else "default"]
    settings = best.params if gained else search.space.default
    same = settings["base"] == search.space.default["base"]
    why = search.why if same else f"base {settings['base']}: the best of the search has it"
    report = task.report_test(chosen, probabilities)
    classifier = task.deliver(
        chosen, report, fitter, base=why, lm=search.bases[settings["base"]], transductive=False,
        minutes=minutes, seconds=seconds,
    )  # fmt: skip
    scores = {
        "minutes": minutes, "seconds": round(seconds), "default_settings": search.space.default,
        "out_of_fold": {"default": default.nats, "best": found.nats, "gain": asdict(ahead)},
        "held_out": asdict(held_out),
    }  # fmt: skip
    return Tuned(classifier, sentence, gained, best.params, trials.table(), scores)


def _name(params: Params) -> str:
    """Of the folder of a trial's checkpoints: the same for the same settings."""
    return _digest(json.dumps(params, sort_keys=True))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
