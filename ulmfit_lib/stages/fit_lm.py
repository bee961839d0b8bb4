"""Stage 2: a language model -> one that has read your texts."""

from collections.abc import Sequence
from dataclasses import replace

from ulmfit_lib.data.splitting import hold_out
from ulmfit_lib.models.known_texts import with_known_texts
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.stages.language_models import extend, train_directions
from ulmfit_lib.tokens.corpus import Corpus
from ulmfit_lib.training.language_modelling import LanguageModelRecipe
from ulmfit_lib.training.recipes import CPU, on_all_processes, override
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.seeding import leaves_random_numbers

FINE_TUNE = CPU.fit_lm
STEPS_PER_EPOCH = 50  # a short corpus gets fewer rows, so that an epoch is still this many steps
FEWEST_ROWS = 4


@leaves_random_numbers()
def fit_lm(
    texts: Sequence[str],
    *,
    base: LanguageModel,
    valid_texts: Sequence[str] | None = None,
    recipe: LanguageModelRecipe = FINE_TUNE,
    epochs: int | None = None,
    lr: float | None = None,
    source: str = "",
    run: Run | None = None,
) -> LanguageModel:
    """Stage 2: a language model -> one that has read your texts (ULMFiT, section 3.2).

    Words of the texts that the base does not know join its vocabulary with the mean embedding. The tied embedding and
    decoder train first, then all groups at discriminative rates; the epoch with the best validation loss is kept.
    Numbers of the texts it is measured on, and no text, are kept to compare new ones with (``models.known_texts``).

    Args:
        texts: all that it may read: labelled and unlabelled, but no test texts.
        base: the language model to go on from; it stays as it is. ``base.only("forward")`` trains one direction.
        valid_texts: what each epoch is measured on; default a tenth of the texts, which it then does not read.
        recipe: hyperparameters; its batch is that of each process.
        epochs: epochs with all groups training, instead of the recipe's.
        lr: the highest rate, instead of the recipe's.
        source: where the texts are from, for the card.
        run: seed, device and checkpoints; a run that was stopped continues from these.

    Raises:
        DataError: too few texts.

    Examples:
        >>> tuned = fit_lm(reviews.texts[:100], base=lm, epochs=1, run=Run(seed=1, device="cpu"))
        >>> tuned.training.name
        'fine-tuned from tiny'
    """
    run = run or Run()
    train_texts, held_out = hold_out(texts, valid_texts, run.seed)
    recipe = override(recipe, epochs=epochs, lr=lr)
    name = f"fine-tuned from {base.training.name or 'a language model'}"
    grown, corpus = extend(base, train_texts, name=name, size=2 * len(base.vocabulary), min_count=recipe.min_count)
    recipe = for_corpus(on_all_processes(recipe), corpus)
    model = train_directions(grown, corpus, held_out, stage="fine-tune", recipe=recipe, source=source, run=run)
    return with_known_texts(model, held_out, lm=model, seed=run.seed)


def for_corpus(recipe: LanguageModelRecipe, corpus: Corpus) -> LanguageModelRecipe:
    """The same for so many tokens: few make smaller batches."""
    rows = len(corpus.ids) // (recipe.window * STEPS_PER_EPOCH)
    return replace(recipe, batch_size=min(recipe.batch_size, max(FEWEST_ROWS, rows)))
