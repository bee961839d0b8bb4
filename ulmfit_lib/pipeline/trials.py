"""What a search for better settings tries, and the file in which optuna remembers it, so that a later run goes on."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_lib.errors import OptionError, TrainingError
from ulmfit_lib.files import new_file
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.models.dropouts import Dropouts
from ulmfit_lib.pipeline.unseen import Unseen
from ulmfit_lib.training.classifying import ClassifierRecipe
from ulmfit_lib.training.heads import HeadChoice
from ulmfit_lib.training.recipes import PAPER_DROPOUTS, STRATEGIES

POOLINGS = ("layers", "concat", "all")
RATES = 4.0  # times lower and higher than the recipe's
JUDGED_AFTER, JUDGED_BESIDE = 2, 3  # folds of a trial, and trials before it, from which on it may be stopped
Params = dict[str, Any]


@dataclass(frozen=True)
class Space:
    """The settings that are tried.

    Attributes:
        bases: names of language models, that of the defaults first.
        recipe: the defaults, for as many texts as there are.
    """

    bases: Sequence[str]
    recipe: ClassifierRecipe

    @property
    def default(self) -> Params:
        """What ``fit`` does first: a head on the frozen encoders."""
        return {"base": self.bases[0], "strategy": "features", "frozen_pooling": self.recipe.frozen_pooling}

    def first(self) -> Iterator[Params]:
        """What is tried in any case: the defaults, all other heads, which take seconds, and usual fine-tuning."""
        yield self.default
        for base in self.bases:
            for pooling in POOLINGS:
                yield {"base": base, "strategy": "features", "frozen_pooling": pooling}
        usual = {"pooling": self.recipe.pooling, "epochs": self.recipe.epochs, "lr": self.recipe.lr, "dropout": 0.0}
        yield {"base": self.bases[0], "strategy": "fine-tune", **usual}

    def draw(self, trial: Any) -> Params:
        """The settings of one of optuna's trials; those of fine-tuning are drawn where they are not given."""
        trial.suggest_categorical("base", list(self.bases))
        if trial.suggest_categorical("strategy", STRATEGIES) == "features":
            trial.suggest_categorical("frozen_pooling", POOLINGS)
        else:
            trial.suggest_categorical("pooling", POOLINGS)
            trial.suggest_int("epochs", max(1, self.recipe.epochs // 2), 2 * self.recipe.epochs)
            trial.suggest_float("lr", self.recipe.lr / RATES, self.recipe.lr * RATES, log=True)
            trial.suggest_float("dropout", 0.0, 1.0)
        return dict(trial.params)

    def recipe_for(self, params: Params) -> ClassifierRecipe:
        """The recipe with the settings of a trial; ``dropout`` is a share of the paper's dropouts."""
        if params["strategy"] == "features":
            return replace(self.recipe, frozen_pooling=params["frozen_pooling"])
        dropouts = Dropouts(**{place: params["dropout"] * share for place, share in asdict(PAPER_DROPOUTS).items()})
        return replace(
            self.recipe, pooling=params["pooling"], epochs=params["epochs"], most_steps=0, lr=params["lr"],
            dropouts=dropouts,
        )  # fmt: skip


class Trials:
    """optuna's study in ``folder``, and what the best trial and the defaults' said of rows not learnt from.

    Args:
        folder: where they are kept.
        space: what is tried.
        run: what tells this search from another, by name.
        seed: of what is drawn.

    Raises:
        OptionError: optuna is not installed.
        TrainingError: the folder holds another search, or cannot be read.
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
        file = folder / "trials.db"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self.study = optuna.create_study(
                storage=URL.create("sqlite", database=str(file)).render_as_string(), study_name="tune",
                load_if_exists=True, direction="minimize",
                pruner=optuna.pruners.MedianPruner(n_startup_trials=JUDGED_BESIDE, n_warmup_steps=JUDGED_AFTER - 1),
            )  # fmt: skip
            before = self.study.user_attrs.get("run", run)
            self.seconds = float(self.study.user_attrs.get("seconds", 0.0))
        except (SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError, OSError) as error:
            raise TrainingError(f"{file}: these trials cannot be read; --restart begins anew") from error
        if other := [name for name in run if before.get(name) != run[name]]:
            shown = ", ".join(f"{name} was {before.get(name)}, and is {run[name]}" for name in other)
            raise TrainingError(
                f"{file} is of another search ({shown}): give the same options, choose another --out, or begin anew "
                f"with --restart"
            )
        self.study.set_user_attr("run", run)
        for stale in self.study.get_trials(states=[self._states.RUNNING]):  # an earlier run was stopped at it
            self.study.tell(stale.number, state=self._states.FAIL)

    def ask(self) -> tuple[Any, Params]:
        """The next trial, and its settings; what was not finished, because a run was stopped at it, comes again."""
        tried = [one.params for one in self.done]
        waiting = (params for params in self.space.first() if params not in tried)
        if not self.study.get_trials(deepcopy=False, states=[self._states.WAITING]):
            self.study.enqueue_trial(next(waiting, {"strategy": "fine-tune"}))
        self.study.sampler = self._sampler(seed=self.seed + len(tried))
        trial = self.study.ask()
        return trial, self.space.draw(trial)

    def stop(self, trial: Any, why: str, *, seconds: float) -> None:
        """Give a trial up."""
        trial.set_user_attr("why", why)
        trial.set_user_attr("seconds", round(seconds, 1))
        self.study.tell(trial, state=self._states.PRUNED)

    def finish(self, trial: Any, nats: float, right: float, unseen: Unseen, *, seconds: float) -> None:
        """Keep what a trial has come to."""
        write_unseen(self._file(trial.number), unseen)
        trial.set_user_attr("right", right)
        trial.set_user_attr("seconds", round(seconds, 1))
        self.study.tell(trial, nats)
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

    def unseen(self, trial: Any, kind: LabelKind) -> Unseen:
        """What the best trial or the defaults' said of the rows that it had not learnt from.

        Raises:
            TrainingError: that file is missing or damaged.
        """
        file = self._file(trial.number)
        try:
            return read_unseen(file, kind)
        except (OSError, ValueError, KeyError) as error:
            raise TrainingError(f"{file}: missing or damaged; --restart begins the search anew") from error

    def table(self) -> list[dict[str, Any]]:
        """A row for each trial that is done, JSON-ready: settings, log loss, share of right answers, seconds."""
        return [
            {
                "trial": one.number, "log_loss": one.value if one in self.complete else None,
                "right": one.user_attrs.get("right"), "seconds": one.user_attrs.get("seconds"),
                "given_up": one.user_attrs.get("why", ""), **one.params,
            }
            for one in self.done
        ]  # fmt: skip

    def _file(self, number: int) -> Path:
        return self.folder / f"{number}.npz"


def write_unseen(path: Path, unseen: Unseen) -> None:
    """All of it but the kind of label, without a pickle."""
    arrays: dict[str, Any] = {"places": unseen.places, "targets": unseen.targets, "fold": unseen.fold}
    arrays |= {f"ulmfit/{'' if one is None else f'{one[0]} {one[1]!r}'}": p for one, p in unseen.ulmfit.items()}
    arrays |= {f"others/{name}": p for name, p in unseen.others.items()}
    with new_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_unseen(path: Path, kind: LabelKind) -> Unseen:
    """What ``write_unseen`` wrote."""
    ulmfit: dict[HeadChoice | None, Any] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for name in arrays:
            if name.startswith("ulmfit/"):
                weighting, _, strength = name.removeprefix("ulmfit/").partition(" ")
                ulmfit[HeadChoice(int(weighting), float(strength)) if strength else None] = arrays[name]
        others = {name.removeprefix("others/"): arrays[name] for name in arrays if name.startswith("others/")}
        return Unseen(kind, arrays["places"], arrays["targets"], arrays["fold"], ulmfit, others)
