"""Stage 2: a language model -> one that has read your texts."""

from collections.abc import Sequence
from dataclasses import replace

from ulmfit_lib.data.splitting import hold_out
from ulmfit_lib.models.devices import find_device
from ulmfit_lib.models.known_texts import with_known_texts
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.stages.language_models import extend, train_directions
from ulmfit_lib.tokens.corpus import Corpus
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.language_modelling import LanguageModelRecipe
from ulmfit_lib.training.recipes import CPU, on_all_processes, override

FINE_TUNE = CPU.fit_lm
STEPS_PER_EPOCH = 50  # a short corpus gets fewer rows, so that an epoch is still this many steps
FEWEST_ROWS = 4


def fit_lm(
    texts: Sequence[str],
    *,
    base: LanguageModel,
    valid_texts: Sequence[str] | None = None,
    direction: str | None = None,
    recipe: LanguageModelRecipe = FINE_TUNE,
    epochs: int | None = None,
    lr: float | None = None,
    min_count: int = 3,
    seed: int = 42,
    device: str = "auto",
    source: str = "",
    checkpoints: Checkpoints | None = None,
) -> LanguageModel:
    """Stage 2: a language model -> one that has read your texts (ULMFiT, section 3.2).

    Words of the texts that the base does not know join its vocabulary with the mean embedding. The tied embedding and
    decoder train first, then all groups at discriminative rates; the epoch with the best validation loss is kept.
    Numbers of the texts it is measured on, and no text, are kept to compare new ones with (``models.known_texts``).

    Args:
        texts: all that it may read: labelled and unlabelled, but no test texts.
        base: the language model to go on from; it stays as it is.
        valid_texts: what each epoch is measured on; default a tenth of the texts, which it then does not read.
        direction: ``forward``, ``backward``, ``both``; default all that the base has.
        recipe: hyperparameters; its batch is that of each process.
        epochs: epochs with all groups training, instead of the recipe's.
        lr: the highest rate, instead of the recipe's.
        min_count: a new word needs this many occurrences.
        seed: of order and dropout.
        device: ``auto``, ``cpu`` or ``cuda``.
        source: where the texts are from, for the card.
        checkpoints: where to keep them; a run that was stopped goes on from there.

    Raises:
        DataError: too few texts.
        OptionError: a direction that the base lacks, or an unknown device.
    """
    train_texts, held_out = hold_out(texts, valid_texts, seed)
    name = f"fine-tuned from {base.training.name or 'a language model'}"
    size = 2 * len(base.vocabulary)
    grown, corpus = extend(base, train_texts, name=name, direction=direction, vocab_size=size, min_count=min_count)
    recipe = for_corpus(on_all_processes(override(recipe, epochs=epochs, lr=lr)), corpus)
    model = train_directions(
        grown,
        corpus,
        held_out,
        stage="fine-tune",
        recipe=recipe,
        seed=seed,
        device=device,
        source=source,
        checkpoints=checkpoints,
    )
    return with_known_texts(model, held_out, lm=model, seed=seed, device=str(find_device(device)))


def for_corpus(recipe: LanguageModelRecipe, corpus: Corpus) -> LanguageModelRecipe:
    """The same for so many tokens: few make smaller batches."""
    rows = len(corpus.ids) // (recipe.window * STEPS_PER_EPOCH)
    return replace(recipe, batch_size=min(recipe.batch_size, max(FEWEST_ROWS, rows)))
