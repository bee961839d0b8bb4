"""What pays within the time: heads on frozen encoders first, then reading the user's texts, then fine-tuning."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ulmfit_lib.arrays import Floats
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.models.bases import warn_of_unknown_words
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.budget import Budget, shown
from ulmfit_lib.pipeline.parts import PartsFitter
from ulmfit_lib.pipeline.plan import FineTuningTime, Reading, learnt_share
from ulmfit_lib.pipeline.unseen import Split, Unseen, joined
from ulmfit_lib.progress import bar, counted, note

BASE_ROWS = 500  # that bases are compared on, at most
LEAST_EPOCHS = 2  # of fine-tuning, where time is short
FEWEST_TO_COMPARE = 30  # rows; what fewer say of two ways is chance
DOUBT = 1.0  # standard errors by which something must be behind before it is given up


@dataclass(frozen=True)
class Found:
    """The best way so far to make a classifier of a table, and what it says of rows that it has not learnt from.

    Attributes:
        fitter: makes it.
        unseen: what its parts say of every row that could be held out.
        delivered: the same, weighed (``Unseen.delivered``).
        told: what was tried and what it brought, a sentence each.
        has_read: its language model has read texts of the table.
    """

    fitter: PartsFitter
    unseen: Unseen
    delivered: dict[str, Floats]
    told: tuple[str, ...] = ()
    has_read: bool = False

    @classmethod
    def of(cls, fitter: PartsFitter, unseen: Unseen, *, has_read: bool = False) -> "Found":
        """With the parts weighed."""
        return cls(fitter, unseen, unseen.delivered(), has_read=has_read)

    @property
    def nats(self) -> float:
        """Mean log loss of what would be delivered."""
        return float(self.unseen.row_losses(self.delivered[ENSEMBLE]).mean())

    @property
    def right(self) -> float:
        """Share of decisions that would be right."""
        kind, unseen = self.unseen.kind, self.unseen
        return float((kind.decisions(self.delivered[ENSEMBLE]).argmax(1) == kind.decided(unseen.targets)).mean())

    def fit(self, table: TextTable) -> TextClassifier:
        """The classifier, fitted to all rows of a table that it knows."""
        choice = self.unseen.best_choice()
        return self.fitter.fit(table, self.unseen.weigh(choice), choice)

    def or_better(self, other: "Found", what: str) -> "Found":
        """The one of both with less log loss, and a sentence that says which and why."""
        better = other.nats < self.nats
        told = (
            f"{what}: right for {100 * other.right:.1f} % of the rows that were not learnt from, where it was "
            f"{100 * self.right:.1f} % before (log loss {other.nats:.3f}, before {self.nats:.3f}); "
            f"{'it is kept' if better else 'it brings nothing and is dropped'}"
        )
        note(told)
        return replace(other if better else self, told=(*self.told, told))


def try_heads(
    fitter: PartsFitter, table: TextTable, splits: Sequence[Split], *, beside: Unseen | None = None
) -> Unseen:
    """What the parts say of every split's rows, the encoder as it is."""
    with bar(total=len(splits), description="scoring", unit="fold") as progress:
        return joined(list(_counted(fitter.out_of_fold(table, splits, beside=beside), progress.update)))


def choose_base(
    bases: Sequence[LanguageModel],
    table: TextTable,
    splits: Sequence[Split],
    *,
    read: Callable[[TextTable, LanguageModel], PartsFitter],
    seed: int,
    names: Sequence[str] = (),
) -> tuple[LanguageModel, str]:
    """The base whose frozen encoders tell most of the labels, by log loss on rows not learnt from; and why.

    Between those that are about as good, one with distilled vectors is taken.

    Args:
        bases: language models.
        table: labelled rows.
        splits: of its rows.
        read: makes a fitter that knows a table's texts.
        seed: of the rows that are compared on where there are very many.
        names: what the user calls the bases; by default the names that they were given in training.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(table))[:BASE_ROWS])
    place = np.full(len(table), -1)
    place[rows] = np.arange(len(rows))
    few = [tuple(place[part][place[part] >= 0] for part in split) for split in splits]
    part = table.select(rows.tolist())
    classes = len(table.classes)
    usable = [
        (train, test)
        for train, test in few
        if len(test) and table.kind.count_rows(part.class_numbers(table.classes)[train], classes).all()
    ]
    if len(bases) == 1 or not usable:
        return bases[0], ""
    named = dict(zip(names or (base.training.name for base in bases), bases, strict=True))
    losses = {}
    for name, base in sorted(named.items(), key=lambda item: not item[1].architecture.distilled):
        unseen = joined(list(replace(read(part, base), with_baseline=False, topics=None).out_of_fold(part, usable)))
        losses[name] = unseen.row_losses(unseen.ulmfit[unseen.best_choice()])
    best, *others = losses
    for name in others:
        if _clearly_worse(losses[best], losses[name]):
            best = name
    said = ", ".join(f"{name} {some.mean():.3f}" for name, some in losses.items())
    lowest = min(losses, key=lambda name: float(losses[name].mean()))
    why = "the lowest log loss" if best == lowest else "no clearly higher log loss"
    return named[best], (
        f"base {best}: {why} on rows not learnt from, its encoders as they are ({said})"
        f"{warn_of_unknown_words(named[best], part.texts)}"
    )


def try_reading(
    found: Found,
    table: TextTable,
    splits: Sequence[Split],
    reading: Reading,
    *,
    read: Callable[[Reading], LanguageModel],
) -> Found:
    """Let the language model read the user's texts, and keep what it learnt if the labels are told better by it."""
    lm = read(reading)
    fitter = found.fitter.instead(table, lm=lm)
    other = Found.of(fitter, try_heads(fitter, table, splits, beside=found.unseen), has_read=True)
    what = f"after reading {reading.n_tokens:,} tokens of your texts {reading.passes} times"
    return found.or_better(other, what)


def try_fine_tuning(
    found: Found, table: TextTable, splits: Sequence[Split], budget: Budget, *, forced: bool, fits: int
) -> Found:
    """Fine-tune the encoder for one split after the other, as long as there is time and it is not clearly worse.

    Where there is no time for all of the recipe's epochs, it makes fewer.

    Args:
        found: what it must be better than.
        table: labelled rows.
        splits: of its rows.
        budget: the time.
        forced: fine-tune whatever it takes and brings.
        fits: how many fits follow if it is kept.
    """
    recipe, lm, device = found.fitter.recipe, found.fitter.lm, found.fitter.device
    if not forced:
        time = FineTuningTime.of(table, splits, recipe, lm=lm, device=device, fits=fits)
        most = recipe.for_texts(len(table)).epochs
        epochs = budget.decide("fine-tuning epochs", min(most, time.epochs(budget.left())))
        if epochs < (least := min(most, LEAST_EPOCHS)):
            needed = shown(time.seconds(least))
            told = f"fine-tuning the encoder was left out: it takes about {needed}, and there is no time for that"
            note(told)
            return replace(found, told=(*found.told, told))
        recipe = replace(recipe, epochs=int(epochs))
    fitter = found.fitter.instead(table, strategy="fine-tune", recipe=recipe)
    tuned, began, after = list[Unseen](), budget.spent(), fits / learnt_share(table, splits)
    for number, one in enumerate(fitter.out_of_fold(table, splits, beside=found.unseen), start=1):
        tuned.append(one)
        if forced or number == len(splits) or sum(len(one.places) for one in tuned) < FEWEST_TO_COMPARE:
            continue
        each = (budget.spent() - began) / number
        late = not budget.allows(f"fine-tuning after {number}", each * (len(splits) - number + after))
        if budget.decide(f"fine-tuning is behind after {number}", float(_behind(found.unseen, joined(tuned)))):
            why = "it is clearly worse than the head alone"
        elif late:
            why = "there is no time for more"
        else:
            continue
        told = f"fine-tuning the encoder was given up after {number} of {counted(len(splits), 'fold')}: {why}"
        note(told)
        return replace(found, told=(*found.told, told))
    other = Found.of(fitter, joined(tuned), has_read=found.has_read)
    if forced:
        return replace(other, told=found.told)
    return found.or_better(other, "with the encoder fine-tuned")


def _behind(frozen: Unseen, tuned: Unseen) -> bool:
    """Whether fine-tuning is clearly worse on the rows that it has scored so far."""
    rows = np.flatnonzero(np.isin(frozen.fold, tuned.fold))
    return _clearly_worse(tuned.ulmfit_losses(), frozen.among(rows).ulmfit_losses())


def _clearly_worse(losses: Floats, others: Floats) -> bool:
    """Whether the first are higher than the others, (n,) each of the same decisions, by more than chance may do."""
    worse = losses - others
    return bool(worse.mean() > DOUBT * worse.std() / np.sqrt(len(worse)))


def _counted(items: Iterable[Unseen], update: Callable[[int], object]) -> Iterable[Unseen]:
    for item in items:
        yield item
        update(1)
