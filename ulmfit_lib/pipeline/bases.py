"""The language model that everything starts from, chosen by labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ulmfit_lib.artifact.cards import Card
from ulmfit_lib.artifact.catalogue import AUTO
from ulmfit_lib.errors import OptionError
from ulmfit_lib.models.bases import load_base, load_bases, warn_of_unknown_words
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.candidates import Candidate, EvaluatedCandidate, evaluate, predict_folds
from ulmfit_lib.pipeline.experiment import Experiment
from ulmfit_lib.pipeline.out_of_fold import (
    MIN_ROWS_TO_COMPARE,
    OutOfFoldPredictions,
    clearly_worse,
    concatenate,
    worse_so_far,
)
from ulmfit_lib.progress import counted, note
from ulmfit_lib.stages.distill import DISTILL, distill
from ulmfit_lib.training.distillation_recipe import ContextRecipe, WordVectorRecipe
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.teachers import Teacher

MAX_ROWS = 1000  # that bases are compared on
MIN_STEPS = 300  # that word vectors learn for, however few the user's texts are
WORD_VECTORS = WordVectorRecipe()
FROM_BASE = ContextRecipe()  # where the base has word vectors to go on from


@dataclass(frozen=True, eq=False)
class Base:
    """A language model to start from."""

    name: str  # what the user calls it
    whole: LanguageModel  # the language model as its folder holds it
    direction: str | None  # that is used of it; None: all that it has
    why: str  # this one, a sentence
    probe: EvaluatedCandidate | None = None  # its linear probe, if it was evaluated on all rows

    @property
    def lm(self) -> LanguageModel:
        """The directions that are used."""
        return self.whole.only(self.direction)


def distill_base(
    base: str | Path | LanguageModel,
    texts: Sequence[str],
    teachers: Sequence[Teacher],
    *,
    direction: str | None = None,
    run: Run,
) -> LanguageModel:
    """A base into which sentence transformers have been distilled on the user's own texts, without their labels.

    Its encoder and its vocabulary's size stay as they are; words that are common in the texts enter the vocabulary. The
    more texts there are, the closer it comes to the teachers, which are not needed again.
    """
    lm, _ = load_base(base, texts, direction=direction, seed=run.seed)
    lm = lm.only(direction)
    if lm.architecture.words:
        context = replace(FROM_BASE, epochs=_epochs(len(texts), FROM_BASE))
        word_vectors = replace(WORD_VECTORS, from_base=True, context=context)
    else:
        word_vectors = replace(WORD_VECTORS, epochs=_epochs(len(texts), WORD_VECTORS))
    recipe = replace(DISTILL, epochs=0, vocab_size=len(lm.vocabulary), word_vectors=word_vectors)
    note(f"distilling {', '.join(teacher.name for teacher in teachers)} into the base on {len(texts):,} texts")
    return distill(texts, base=lm, teachers=teachers, recipe=recipe, card=Card("distilled on your texts"), run=run)


def _epochs(texts: int, recipe: WordVectorRecipe | ContextRecipe) -> int:
    steps_per_epoch = max(1, 2 * texts // recipe.batch_size)  # each text is read in two writings
    return max(recipe.epochs, MIN_STEPS // steps_per_epoch)


def find_bases(
    bases: Sequence[str | Path | LanguageModel], texts: Sequence[str], *, direction: str | None, seed: int
) -> list[Base]:
    """The language models to choose from, given the texts that they will read; an OptionError for two of one name."""
    found: dict[str, Base] = {}
    for base in bases:
        models, why = load_bases(base, texts, direction=direction, seed=seed)
        for lm in models:
            own_name = base == AUTO or isinstance(base, LanguageModel)
            name = lm.name if own_name else str(base)
            if name in found and found[name].lm.sha256() != lm.only(direction).sha256():
                raise OptionError(f"two bases are called {name!r}: save them, and give their folders")
            found.setdefault(name, Base(name, lm, direction, why))
    return list(found.values())


def usual_base(bases: Sequence[Base], texts: Sequence[str]) -> Base:
    """The base that is seldom worse, one with a distilled vector, where there is no time to compare them."""
    best, *others = sorted(bases, key=lambda one: not one.lm.architecture.distilled)
    if not others:
        return best
    why = f"base {best.name}: there was no time to compare it with {', '.join(one.name for one in others)}"
    return replace(best, why=why + warn_of_unknown_words(best.whole, texts))


def choose_base(
    bases: Sequence[Base], candidate: Candidate, experiment: Experiment, run: Run, *, share: float = 1.0
) -> Base:
    """The base whose linear probe has the least cross-validated log loss; of many rows, a random part tells.

    Of bases that are about as good, one with a distilled vector is taken. One that is clearly worse than the best so
    far is given up after the first folds. Where time is short, a ``share`` of that part tells. The ``candidate`` is
    what is evaluated of each, without its linear members.
    """
    table, splits = experiment.sample(MAX_ROWS, seed=run.seed, share=share)
    if len(bases) == 1 or not splits:
        return bases[0]
    best, *others = sorted(bases, key=lambda one: not one.lm.architecture.distilled)
    probe = evaluate(candidate.changed(lm=best.lm, with_baseline=False), table, splits, run)
    means = {best.name: probe.predictions.ulmfit_losses().mean()}
    given_up = []
    for base in others:
        challenger = candidate.changed(lm=base.lm, with_baseline=False)
        folds: list[OutOfFoldPredictions] = []
        for fold in predict_folds(challenger, table, splits, run):
            folds.append(fold)
            enough = sum(len(one.places) for one in folds) >= MIN_ROWS_TO_COMPARE
            if enough and len(folds) < len(splits) and worse_so_far(folds, probe.predictions):
                mean = concatenate(folds).ulmfit_losses().mean()
                given_up.append(f"{base.name} {mean:.3f} in {counted(len(folds), 'fold')}, and given up")
                break
        else:
            found = concatenate(folds)
            losses = found.ulmfit_losses()
            means[base.name] = losses.mean()
            if clearly_worse(probe.predictions.ulmfit_losses(), losses):
                best, probe = base, EvaluatedCandidate(challenger, found)
    reason = "the lowest" if means[best.name] == min(means.values()) else "no clearly higher"
    each = ", ".join([*(f"{name} {mean:.3f}" for name, mean in means.items()), *given_up])
    whole = len(table) == len(experiment.train) and len(splits) == len(experiment.splits)
    return replace(
        best,
        probe=probe if whole else None,
        why=f"base {best.name}: {reason} cross-validated log loss of a linear probe ({each})"
        f"{warn_of_unknown_words(best.whole, table.texts)}",
    )
