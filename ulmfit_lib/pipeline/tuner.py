"""A search's trials, one after the other, as long as there is time."""

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ulmfit_lib.errors import TrainingError
from ulmfit_lib.pipeline.bases import Base
from ulmfit_lib.pipeline.budget import Budget
from ulmfit_lib.pipeline.candidates import Candidate, EvaluatedCandidate, predict_folds
from ulmfit_lib.pipeline.experiment import Experiment
from ulmfit_lib.pipeline.out_of_fold import OutOfFoldPredictions, concatenate
from ulmfit_lib.pipeline.plan import TrainingTime
from ulmfit_lib.pipeline.trials import AGAIN, EPOCHS, Params, Space, Trials
from ulmfit_lib.progress import bar, note
from ulmfit_lib.training.classifying import LINEAR_PROBE
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.tfidf import Topics
from ulmfit_lib.training.tracking import tracked_part

FINAL_FITS = 2  # on the rows of the search, and on all of them


@dataclass
class Tuner:
    """All that trials have in common."""

    experiment: Experiment  # what they are scored on
    bases: dict[str, Base]  # by name
    space: Space  # what is tried
    run: Run  # seed, device and checkpoints
    topics: Topics | None = None  # of the texts without a label
    others: Sequence[str] = ()  # beside which a candidate looks at the labelled texts
    # How long training takes here, by base and strategy, as far as it is known.
    times: dict[tuple[str, str], TrainingTime] = field(default_factory=dict)

    def search(self, trials: Trials, budget: Budget, max_trials: int | None) -> None:
        """Try one after the other, as long as there is time."""
        minutes = budget.seconds / 60
        done = min(minutes, budget.spent() / 60)
        with bar(total=minutes, initial=done, description="tuning", unit="min") as progress:
            while trials.default is None or (budget.left() and (max_trials is None or len(trials.done) < max_trials)):
                trial, params = trials.ask(cache(lambda *what: self.training_time(*what).epochs(budget.left())))
                best = {"best": f"{trials.best.value:.3f}"} if trials.best else {}
                progress.set_postfix(refresh=False, trial=str(trial.number), **best)
                with tracked_part(f"trial {trial.number}"):
                    in_time = self.attempt(trial, params, trials, budget)
                trials.spend(budget.spent())
                progress.update(min(minutes, budget.spent() / 60) - progress.n)
                if not in_time:
                    note("the search ends here: there is no time for another trial (--minutes)")
                    return
                if self.run.checkpoints:
                    shutil.rmtree(self.run.checkpoints.folder / _name(params), ignore_errors=True)

    def attempt(self, trial: Any, params: Params, trials: Trials, budget: Budget) -> bool:
        """One trial, fold after fold, as long as it is not behind others; whether there was time for it.

        If there was not, a run with more time takes it up.
        """
        started = time.monotonic()
        default, resumed = trials.default, AGAIN in trial.user_attrs
        if default and not resumed and self.seconds(params, default) > budget.left():
            trials.discard(trial.number)
            return False
        train, splits = self.experiment.train, self.experiment.splits
        candidate, run = self.candidate(params), self.run.within(_name(params))
        same_splits = trials.predictions(default, train.kind) if default else None
        try:
            candidate.read(train.texts, run)
            reading = passed = time.monotonic() - started
            folds: list[OutOfFoldPredictions] = []
            longest = 0.0
            for fold in predict_folds(candidate, train, splits, run, same_splits=same_splits):
                folds.append(fold)
                longest = max(longest, time.monotonic() - started - passed)
                passed = time.monotonic() - started
                so_far = EvaluatedCandidate(candidate, concatenate(folds))
                trial.report(so_far.log_loss, len(folds) - 1)
                trials.spend(budget.spent())
                self.measure(trial, longest)
                missing = len(splits) - len(folds)
                if default and missing and trial.should_prune():
                    trials.stop(trial, "behind the median", seconds=passed)
                    return True
                if default and missing and missing * longest + FINAL_FITS * (reading + longest) > budget.left():
                    return self.gives_way(trial, trials, budget)
            trials.finish(trial, so_far, seconds=passed)
        except TrainingError as error:
            if not default:
                raise
            note(f"trial {trial.number} is given up: {error}")
            trials.stop(trial, str(error), seconds=time.monotonic() - started)
        return True

    def measure(self, trial: Any, seconds: float) -> None:
        """Learn how long training takes from a fold that took so long, unless an earlier run did a part of it."""
        what = trial.params["base"], trial.params["strategy"]
        if what[1] in EPOCHS and AGAIN not in trial.user_attrs:
            self.times[what] = self.training_time(*what).measured(seconds, epochs=trial.params[EPOCHS[what[1]]])

    def gives_way(self, trial: Any, trials: Trials, budget: Budget) -> bool:
        """Whether a trial that turns out too long leaves time for fewer epochs; then it counts for nothing."""
        base, strategy = trial.params["base"], trial.params["strategy"]
        if strategy not in EPOCHS or AGAIN in trial.user_attrs:
            return False
        fewest, _ = self.space.epochs(strategy, 0)
        if not fewest <= self.training_time(base, strategy).epochs(budget.left()) < trial.params[EPOCHS[strategy]]:
            return False
        trials.discard(trial.number)
        return True

    def candidate(self, params: Params) -> Candidate:
        """What is fitted with these settings."""
        lm = self.bases[params["base"]].lm
        recipe = self.space.recipe_for(params)
        return Candidate(lm, params["strategy"], recipe, topics=self.topics, others=self.others)

    def seconds(self, params: Params, default: Any) -> float:
        """About how long a trial takes, with the fits at the end if it turns out the best."""
        if params["strategy"] == LINEAR_PROBE:
            return (1 + FINAL_FITS) * float(default.user_attrs["seconds"])
        strategy = params["strategy"]
        return self.training_time(params["base"], strategy).seconds(params[EPOCHS[strategy]])

    def training_time(self, base: str, strategy: str) -> TrainingTime:
        """How long training this base by a strategy takes here: measured once, and then known better from each fold."""
        if (base, strategy) not in self.times:
            candidate = Candidate(self.bases[base].lm, strategy, self.space.recipe, others=self.others)
            train, splits = self.experiment.train, self.experiment.splits
            found = TrainingTime.of(candidate, train, splits, device=self.run.device, fits=FINAL_FITS)
            self.times[base, strategy] = found
        return self.times[base, strategy]

    def evaluated(self, trial: Any, trials: Trials) -> EvaluatedCandidate:
        """A trial that is complete, to be fitted to any rows."""
        predictions = trials.predictions(trial, self.experiment.train.kind)
        return EvaluatedCandidate(self.candidate(trial.params), predictions)


def _name(params: Params) -> str:
    """Of the folder of a trial's checkpoints: the same for the same settings."""
    return digest(json.dumps(params, sort_keys=True))


def digest(text: str) -> str:
    """A few letters that tell one text from another."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
