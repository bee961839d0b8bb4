"""What a search for better settings tries, and the file in which optuna remembers it, so that a later run goes on."""

import itertools
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_lib.artifact.architecture import WORDS
from ulmfit_lib.errors import ArtifactError, OptionError, TrainingError, first_line
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.models.dropouts import Dropouts
from ulmfit_lib.pipeline.candidates import EvaluatedCandidate
from ulmfit_lib.pipeline.out_of_fold import OutOfFoldPredictions, read_predictions, write_predictions
from ulmfit_lib.pipeline.search import MIN_EPOCHS
from ulmfit_lib.training.classifying import CONTRAST, FINE_TUNE, LINEAR_PROBE, ClassifierRecipe
from ulmfit_lib.training.recipes import PAPER_DROPOUTS

POOLINGS = ("layers", "concat", "all")
FROZEN_POOLINGS = (WORDS, *POOLINGS)
RATES = 4.0  # times lower and higher than the recipe's
MIN_FOLDS, MIN_TRIALS = 2, 3  # of a trial, and before it, from which on the trial may be pruned
AGAIN = "begun before"  # marks a trial that an earlier run was stopped at
SQLITE_BUSY = 5  # the first byte of sqlite's error code where another program has the file; Python 3.10 hides it
LOCKED_SECONDS = 20  # to wait while another program has the file
EPOCHS = {CONTRAST: "contrast_epochs", FINE_TUNE: "epochs"}  # the names of settings, whose ranges differ
Params = dict[str, Any]
MostEpochs = Callable[[str, str], float]


@dataclass(frozen=True)
class Space:
    """The settings that are tried."""

    bases: Sequence[str]  # names of language models, that of the defaults first
    recipe: ClassifierRecipe  # the defaults, for as many texts as there are
    reading_words: Collection[str] = ()  # which of the bases read words in context

    @property
    def default(self) -> Params:
        """What ``fit`` does first: a head on the frozen encoders."""
        return self._probes(self.bases[0])[0]

    def following(self, tried: Sequence[Params], most_epochs: MostEpochs) -> Params:
        """What is tried next: all heads, those of the defaults first, then contrastive learning and fine-tuning.

        Of these two, the usual settings come first, and then what optuna draws, in turns.
        """
        for head in itertools.chain.from_iterable(map(self._probes, self.bases)):
            if head not in tried:
                return head
        tries = {strategy: sum(one["strategy"] == strategy for one in tried) for strategy in self.trained}
        strategy = min(tries, key=lambda one: tries[one])
        able = [base for base in self.bases if strategy == FINE_TUNE or base in self.reading_words]
        if tries[strategy]:
            return {
                "strategy": strategy,
                **({"base": able[tries[strategy] % len(able)]} if strategy == CONTRAST else {}),
            }
        recipe, base = self.recipe, able[0]
        epochs = min(self.usual_epochs(strategy), self.epochs(strategy, most_epochs(base, strategy))[1])
        if strategy == CONTRAST:
            usual: Params = {EPOCHS[CONTRAST]: epochs, "contrast_lr": recipe.contrast.lr}
        else:
            usual = {"pooling": recipe.pooling, EPOCHS[FINE_TUNE]: epochs, "lr": recipe.lr, "dropout": 0.0}
        return {"base": base, "strategy": strategy, **usual}

    @property
    def trained(self) -> list[str]:
        """The strategies by which an encoder learns here."""
        return [*([CONTRAST] if self.reading_words else []), FINE_TUNE]

    def _probes(self, base: str) -> list[Params]:
        """Linear probes of a base, the one that ``fit`` makes at the head."""
        poolings = FROZEN_POOLINGS if base in self.reading_words else POOLINGS
        return [{"base": base, "strategy": LINEAR_PROBE, "frozen_pooling": pooling} for pooling in poolings]

    def usual_epochs(self, strategy: str) -> int:
        """Of the recipe."""
        return self.recipe.contrast.epochs if strategy == CONTRAST else self.recipe.epochs

    def epochs(self, strategy: str, most: float) -> tuple[int, int]:
        """The fewest and the most epochs that are drawn of a strategy where there is time for so many."""
        usual = self.usual_epochs(strategy)
        fewest = min(MIN_EPOCHS, usual)
        return fewest, max(fewest, int(min(2 * usual, most)))

    def draw(self, trial: Any, most_epochs: MostEpochs) -> Params:
        """The settings of one of optuna's trials; those of what trains are drawn where they are not given."""
        base = trial.suggest_categorical("base", list(self.bases))
        strategy = trial.suggest_categorical("strategy", [*self.trained, LINEAR_PROBE])
        if strategy == LINEAR_PROBE:
            trial.suggest_categorical("frozen_pooling", FROZEN_POOLINGS)
            return dict(trial.params)
        most = np.inf if AGAIN in trial.user_attrs else most_epochs(base, strategy)
        trial.suggest_int(EPOCHS[strategy], *self.epochs(strategy, most))
        if strategy == CONTRAST:
            lr = self.recipe.contrast.lr
            trial.suggest_float("contrast_lr", lr / RATES, lr * RATES, log=True)
        else:
            trial.suggest_categorical("pooling", POOLINGS)
            trial.suggest_float("lr", self.recipe.lr / RATES, self.recipe.lr * RATES, log=True)
            trial.suggest_float("dropout", 0.0, 1.0)
        return dict(trial.params)

    def recipe_for(self, params: Params) -> ClassifierRecipe:
        """The recipe with the settings of a trial; ``dropout`` is a share of the paper's dropouts."""
        if params["strategy"] == LINEAR_PROBE:
            return replace(self.recipe, frozen_pooling=params["frozen_pooling"])
        if params["strategy"] == CONTRAST:
            changes = {"epochs": params[EPOCHS[CONTRAST]], "max_steps": 0, "lr": params["contrast_lr"]}
            return replace(self.recipe, contrast=replace(self.recipe.contrast, **changes))
        dropouts = Dropouts(**{place: params["dropout"] * share for place, share in asdict(PAPER_DROPOUTS).items()})
        return replace(
            self.recipe,
            pooling=params["pooling"],
            epochs=params[EPOCHS[FINE_TUNE]],
            max_steps=0,
            lr=params["lr"],
            dropouts=dropouts,
        )


class Trials:
    """optuna's study in ``folder``, and the predictions of the best trial and of the defaults'.

    A ``run`` tells this search from another, by name; ``seed`` is of what is drawn.
    """

    def __init__(self, folder: Path, space: Space, run: dict[str, str], *, seed: int) -> None:
        try:
            import optuna
            from sqlalchemy import URL
            from sqlalchemy.exc import SQLAlchemyError
        except ModuleNotFoundError as error:
            raise OptionError("tune needs optuna: pip install 'ulmfit-lib[tune]'") from error
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.folder, self.space, self.seed = folder, space, seed
        self._states, self._sampler = optuna.trial.TrialState, optuna.samplers.TPESampler
        self._errors = (SQLAlchemyError, optuna.exceptions.OptunaError)
        self._database = folder / "trials.db"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArtifactError(f"{folder}: cannot be written ({error.strerror}); choose another --out") from error
        with self.in_a_sentence(RuntimeError):  # of which optuna makes one for a file of another version
            url = URL.create("sqlite", database=str(self._database)).render_as_string()
            self.study = optuna.create_study(
                storage=optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": LOCKED_SECONDS}}),
                study_name="tune",
                load_if_exists=True,
                direction="minimize",
                pruner=optuna.pruners.MedianPruner(n_startup_trials=MIN_TRIALS, n_warmup_steps=MIN_FOLDS - 1),
            )
            before = self.study.user_attrs.get("run", run)
            self.seconds = float(self.study.user_attrs.get("seconds", 0.0))
            if other := [name for name in run if before.get(name) != run[name]]:
                shown = ", ".join(f"{name} was {before.get(name)}, and is {run[name]}" for name in other)
                raise TrainingError(
                    f"{self._database} is of another search ({shown}): give the same options, choose another --out, or "
                    f"begin anew with --restart"
                )
            self.study.set_user_attr("run", run)
            for stale in self.study.get_trials(states=[self._states.RUNNING]):  # an earlier run was stopped at it
                self.discard(stale.number)
                if {"frozen_pooling", "contrast_lr", "dropout"} & stale.params.keys():  # its last setting was drawn
                    self.study.enqueue_trial(stale.params, user_attrs={AGAIN: True})

    @contextmanager
    def in_a_sentence(self, *others: type[Exception]) -> Iterator[None]:
        """Within it, a TrainingError says if the trials cannot be read or written; ``others`` mean that, too."""
        try:
            yield
        except (*self._errors, *others) as error:
            cause: BaseException = error
            while cause.__cause__:
                cause = cause.__cause__
            file, said = self._database, first_line(cause)
            if getattr(cause, "sqlite_errorcode", 0) & 0xFF == SQLITE_BUSY:
                raise TrainingError(
                    f"{file}: another program keeps these trials locked; close it and run this again"
                ) from error
            raise TrainingError(
                f"{file}: these trials cannot be read or written ({said}). If the disk is full or the file "
                f"write-protected, mend that and run this again; if the file is damaged, --restart begins anew"
            ) from error

    def ask(self, most_epochs: MostEpochs) -> tuple[Any, Params]:
        """The next trial, and its settings; what was not finished, because a run was stopped at it, comes again.

        ``most_epochs`` tells, by a base's name and a strategy, the epochs that there is time for.
        """
        tried = [one.params for one in self.done]
        if not self.study.get_trials(deepcopy=False, states=[self._states.WAITING]):
            self.study.enqueue_trial(self.space.following(tried, most_epochs))
        self.study.sampler = self._sampler(seed=self.seed + len(tried))
        trial = self.study.ask()
        return trial, self.space.draw(trial, most_epochs)

    def discard(self, number: int) -> None:
        """Let a trial count for nothing."""
        self.study.tell(number, state=self._states.FAIL)

    def stop(self, trial: Any, why: str, *, seconds: float) -> None:
        """Give a trial up."""
        trial.set_user_attr("why", why)
        trial.set_user_attr("seconds", round(seconds, 1))
        self.study.tell(trial, state=self._states.PRUNED)

    def finish(self, trial: Any, found: EvaluatedCandidate, *, seconds: float) -> None:
        """Keep what a trial has come to."""
        write_predictions(self._file(trial.number), found.predictions)
        trial.set_user_attr("right", found.accuracy)
        trial.set_user_attr("seconds", round(seconds, 1))
        self.study.tell(trial, found.log_loss)
        kept = {self._file(one.number) for one in (self.default, self.best) if one}
        for file in set(self.folder.glob("*.npz")) - kept:
            file.unlink()

    def spend(self, seconds: float) -> None:
        """Remember the time spent on the search in all runs."""
        self.study.set_user_attr("seconds", seconds)

    @property
    def done(self) -> list[Any]:
        """Trials that have come to an end, in their order."""
        return self.study.get_trials(deepcopy=False, states=[self._states.COMPLETE, self._states.PRUNED])

    @property
    def complete(self) -> list[Any]:
        """Those of them that scored all folds."""
        return [one for one in self.done if one.state == self._states.COMPLETE]

    @property
    def default(self) -> Any:
        """The trial of the defaults, once it is complete."""
        return next((one for one in self.complete if one.params == self.space.default), None)

    @property
    def best(self) -> Any:
        """The complete trial with the least log loss; the earliest of several."""
        return min(self.complete, key=lambda one: (one.value, one.number), default=None)

    def predictions(self, trial: Any, kind: LabelKind) -> OutOfFoldPredictions:
        """Those of the best trial or of the defaults'."""
        file = self._file(trial.number)
        try:
            return read_predictions(file, kind)
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            raise TrainingError(f"{file}: missing or damaged; --restart begins the search anew") from error

    def table(self) -> list[dict[str, Any]]:
        """A row for each trial that is done, JSON-ready: settings, log loss, share of right answers, seconds."""
        return [
            {
                "trial": one.number,
                "log_loss": one.value if one in self.complete else None,
                "right": one.user_attrs.get("right"),
                "seconds": one.user_attrs.get("seconds"),
                "given_up": one.user_attrs.get("why", ""),
                **one.params,
            }
            for one in self.done
        ]

    def _file(self, number: int) -> Path:
        return self.folder / f"{number}.npz"
