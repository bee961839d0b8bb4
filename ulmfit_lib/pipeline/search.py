"""The best candidate so far, and what may be better within the time."""

from dataclasses import dataclass, field, replace

from ulmfit_lib.pipeline.budget import Budget, Step, shown
from ulmfit_lib.pipeline.candidates import Candidate, EvaluatedCandidate, cross_validate, predict_folds
from ulmfit_lib.pipeline.experiment import Experiment
from ulmfit_lib.pipeline.out_of_fold import (
    MIN_ROWS_TO_COMPARE,
    OF_WHAT_PAYS,
    STANDARD_ERRORS,
    OutOfFoldPredictions,
    clearly_worse,
    concatenate,
    worse_so_far,
)
from ulmfit_lib.pipeline.plan import TrainingTime, learnt_share
from ulmfit_lib.progress import counted, note
from ulmfit_lib.training.classifying import CONTRAST, FINE_TUNE, ClassifierRecipe
from ulmfit_lib.training.run import Run

MIN_EPOCHS = 2  # of fine-tuning, where time is short
DOING = {CONTRAST: "contrastive learning", FINE_TUNE: "fine-tuning the encoder"}
STEPS = {CONTRAST: Step.CONTRASTING, FINE_TUNE: Step.FINE_TUNING}


@dataclass
class Search:
    """The best candidate so far, and what was tried to find a better one."""

    experiment: Experiment  # what candidates are compared on
    budget: Budget
    run: Run  # seed, device and checkpoints
    best: EvaluatedCandidate  # the candidate with the least cross-validated log loss
    probe_seconds: float = 0.0  # that the first score took, which is less than any fine-tuning takes
    tried: list[str] = field(default_factory=list)  # what was tried and what it brought, a sentence each

    def say(self, sentence: str) -> None:
        """Tell the user, and remember it for the report."""
        note(sentence)
        self.tried.append(sentence)

    def evaluate(self, candidate: Candidate) -> EvaluatedCandidate:
        """A candidate with the same linear members as the best, after cross-validation."""
        train, splits = self.experiment.train, self.experiment.splits
        found = cross_validate(candidate, train, splits, self.run, same_splits=self.best.predictions)
        return EvaluatedCandidate(candidate, found)

    def keep_if_better(self, other: EvaluatedCandidate, what: str, *, usually: bool = False) -> bool:
        """Keep a candidate that has less log loss than the best, by more than chance may do, and say whether it has.

        Where the difference may be chance, what is simpler is kept, as few rows err by more than most steps gain (one
        standard error, Breiman et al. 1984); but of a step that ``usually`` pays, what it made (two).
        """
        before, after = self.best.row_losses, other.row_losses
        not_refuted = not clearly_worse(after, before, errors=OF_WHAT_PAYS)
        better = not_refuted if usually else clearly_worse(before, after)
        result = "kept" if better else "dropped"
        if better != (other.log_loss < self.best.log_loss):
            result += ", as that may be chance"
        self.say(
            f"{what}: cross-validated accuracy {100 * other.accuracy:.1f} % (was {100 * self.best.accuracy:.1f} %), "
            f"log loss {other.log_loss:.3f} (was {self.best.log_loss:.3f}): {result}"
        )
        if better:
            self.best = other
        return better

    def train_encoder(self, start: Candidate, strategy: str, *, forced: bool) -> None:
        """Train the encoder of a candidate on one split's labels after the other, while it may still pay.

        Where there is no time for all of the recipe's epochs, it makes fewer. It is given up where there is no time for
        any, or as soon as it is clearly worse than the best so far, unless it is ``forced``.

        Args:
            start: the candidate, whose linear members are those of the best.
            strategy: ``contrast``, which usually pays where the LSTM has learned nothing, or ``fine-tune``.
            forced: it is kept in any case.
        """
        train, splits = self.experiment.train, self.experiment.splits
        candidate, what = start.changed(strategy=strategy), DOING[strategy]
        if not forced and not self.budget.allows(STEPS[strategy], "time to begin", self.probe_seconds):
            self.say(f"{what} was left out: no time is left")
            return
        if not forced:
            epochs, needed = self._affordable_epochs(candidate)
            if not epochs:
                self.say(f"{what} was left out: it takes about {shown(needed)}, more than is left")
                return
            candidate = candidate.changed(recipe=_with_epochs(candidate, epochs))
        usually = strategy == CONTRAST and not self.best.candidate.lm.training.lstm_has_learnt
        errors = OF_WHAT_PAYS if usually else STANDARD_ERRORS
        folds: list[OutOfFoldPredictions] = []
        started = self.budget.spent()
        for fold in predict_folds(candidate, train, splits, self.run, same_splits=self.best.predictions):
            folds.append(fold)
            why = "" if forced else self._why_stop(strategy, folds, self.budget.spent() - started, errors)
            if why:
                done = f"{len(folds)} of {counted(len(splits), 'fold')}"
                self.say(f"{what} was given up after {done}: {why}")
                return
        trained = EvaluatedCandidate(candidate, concatenate(folds))
        if forced:
            self.best = trained
        else:
            self.keep_if_better(trained, f"with {what}", usually=usually)

    def _affordable_epochs(self, candidate: Candidate) -> tuple[int, float]:
        """Epochs of training that there is time for, 0 where these are too few, and seconds that the fewest take."""
        train, splits = self.experiment.train, self.experiment.splits
        time = TrainingTime.of(candidate, train, splits, device=self.run.device, fits=self._last_fits)
        most = _epochs(candidate, len(train))
        fewest = min(most, MIN_EPOCHS)
        step = STEPS[candidate.strategy]
        epochs = self.budget.decide(step, "epochs", min(most, time.epochs(self.budget.left())))
        return int(epochs) if epochs >= fewest else 0, time.seconds(fewest)

    def _why_stop(self, strategy: str, folds: list[OutOfFoldPredictions], seconds: float, errors: float) -> str:
        """Why training should end after the first folds, which took so long; "" where it should not.

        It should where these are worse than the best by so many standard ``errors``.
        """
        train, splits = self.experiment.train, self.experiment.splits
        done, missing = len(folds), len(splits) - len(folds)
        if not missing or sum(len(fold.places) for fold in folds) < MIN_ROWS_TO_COMPARE:
            return ""
        needed = seconds / done * (missing + self._last_fits / learnt_share(train, splits))
        step = STEPS[strategy]
        in_time = self.budget.allows(step, f"time after fold {done}", needed)
        worse = worse_so_far(folds, self.best.predictions, errors=errors)
        if self.budget.decide(step, f"worse after fold {done}", float(worse)):
            return "it is clearly worse than the best so far"
        return "" if in_time else "there is no time for more"

    @property
    def _last_fits(self) -> int:
        """To all rows that are compared on, after the search: for the report, and to refit."""
        return 1 + bool(len(self.experiment.test))


def _epochs(candidate: Candidate, count: int) -> int:
    """Of training the encoder on so many labelled texts."""
    recipe = candidate.recipe.for_texts(count)
    return recipe.contrast.epochs if candidate.strategy == CONTRAST else recipe.epochs


def _with_epochs(candidate: Candidate, epochs: int) -> ClassifierRecipe:
    """The candidate's recipe with so many epochs of training the encoder."""
    recipe = candidate.recipe
    if candidate.strategy == CONTRAST:
        return replace(recipe, contrast=replace(recipe.contrast, epochs=epochs))
    return replace(recipe, epochs=epochs)
