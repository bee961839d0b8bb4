"""A search's trials, one after the other, as long as there is time."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ulmfit_lib.artifact.catalogue import AUTO
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import OptionError, TrainingError
from ulmfit_lib.models.bases import load_bases
from ulmfit_lib.models.devices import find_device
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.budget import Budget
from ulmfit_lib.pipeline.parts import PartsFitter
from ulmfit_lib.pipeline.plan import FineTuningTime
from ulmfit_lib.pipeline.search import Found, choose_base
from ulmfit_lib.pipeline.task import Task
from ulmfit_lib.pipeline.trials import AGAIN, Params, Space, Trials
from ulmfit_lib.pipeline.unseen import Unseen, joined
from ulmfit_lib.progress import bar, note
from ulmfit_lib.stages.fit_classifier import CLASSIFY
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.topics import learn_topics
from ulmfit_lib.training.tracking import tracked_part

FINAL_FITS = 2  # on the rows of the search, and on all of them


@dataclass
class Tuner:
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
        cls,
        task: Task,
        bases: Sequence[str | Path | LanguageModel],
        *,
        direction: str | None,
        seed: int,
        device: str,
        checkpoints: Checkpoints | None,
    ) -> "Tuner":
        """The bases are read, and that of the defaults is chosen as ``fit`` chooses it."""
        loaded: dict[str, LanguageModel] = {}
        reasons: dict[str, str] = {}
        for base in bases:
            models, said = load_bases(base, task.learnt.texts, direction=direction, seed=seed)
            for lm in models:
                own = base == AUTO or isinstance(base, LanguageModel)
                name = lm.training.name or "language model" if own else str(base)
                if loaded.setdefault(name, lm.only(direction)).sha256() != lm.only(direction).sha256():
                    raise OptionError(f"two bases are called {name!r}: save them, and give their folders")
                reasons[name] = said
        options: dict[str, Any] = {
            "topics": learn_topics(task.texts, labelled=len(task.learnt), seed=seed),
            "with_baseline": True,
            "seed": seed,
            "device": find_device(device),
        }

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
                trial, params = trials.ask(cache(lambda base: self.fine_tuning(base).epochs(budget.left())))
                best = {"best": f"{trials.best.value:.3f}"} if trials.best else {}
                shows.set_postfix(refresh=False, trial=str(trial.number), **best)
                with tracked_part(f"trial {trial.number}"):
                    ended = not self.attempt(trial, params, trials, budget, spend)
                if ended:
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
            trials.discard(trial.number)
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
                self.measure(trial, each)
                if default and left and trial.should_prune():
                    trials.stop(trial, "behind the median", seconds=passed)
                    return True
                if default and left and left * each + FINAL_FITS * (reading + each) > budget.left():
                    return self.gives_way(trial, trials, budget)
            trials.finish(trial, found.nats, found.right, found.unseen, seconds=passed)
        except TrainingError as error:
            if not default:
                raise
            note(f"trial {trial.number} is given up: {error}")
            trials.stop(trial, str(error), seconds=time.monotonic() - started)
        spend()
        return True

    def measure(self, trial: Any, seconds: float) -> None:
        """Learn how long fine-tuning takes from a fold that took so long, unless an earlier run did a part of it."""
        params = trial.params
        if params["strategy"] == "fine-tune" and AGAIN not in trial.user_attrs:
            self.times[params["base"]] = self.fine_tuning(params["base"]).measured(seconds, epochs=params["epochs"])

    def gives_way(self, trial: Any, trials: Trials, budget: Budget) -> bool:
        """Whether a trial that turns out too long leaves time for fewer epochs; then it counts for nothing."""
        params = trial.params
        if params["strategy"] != "fine-tune" or AGAIN in trial.user_attrs:
            return False
        fewest, _ = self.space.epochs(0)
        if not fewest <= self.fine_tuning(params["base"]).epochs(budget.left()) < params["epochs"]:
            return False
        trials.discard(trial.number)
        return True

    def fitter(self, params: Params, name: str) -> PartsFitter:
        """What fits a table with these settings; its checkpoints have this name."""
        return PartsFitter.read(
            self.task.learnt,
            lm=self.bases[params["base"]],
            recipe=self.space.recipe_for(params),
            strategy=params["strategy"],
            checkpoints=self.checkpoints.within(name) if self.checkpoints else None,
            **self.options,
        )

    def seconds(self, params: Params, default: Any) -> float:
        """About how long a trial takes, with the fits at the end if it turns out the best."""
        if params["strategy"] == "features":
            return (1 + FINAL_FITS) * float(default.user_attrs["seconds"])
        return self.fine_tuning(params["base"]).seconds(params["epochs"])

    def fine_tuning(self, base: str) -> FineTuningTime:
        """How long fine-tuning this base takes here: measured once, and then known better from each fold."""
        if base not in self.times:
            self.times[base] = FineTuningTime.of(
                self.task.learnt,
                self.task.splits,
                self.space.recipe,
                lm=self.bases[base],
                device=self.options["device"],
                fits=FINAL_FITS,
            )
        return self.times[base]

    def found(self, trial: Any, trials: Trials) -> Found:
        """What a trial that is complete had come to, to be fitted to any rows."""
        unseen = trials.unseen(trial, self.task.data.kind)
        return Found.of(self.fitter(trial.params, f"last fits of trial {trial.number}"), unseen)


def _name(params: Params) -> str:
    """Of the folder of a trial's checkpoints: the same for the same settings."""
    return digest(json.dumps(params, sort_keys=True))


def digest(text: str) -> str:
    """A few letters that tell one text from another."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
