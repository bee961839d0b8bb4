"""How a language model is trained: the tied embedding and decoder first, then all groups."""

import math
from dataclasses import asdict, dataclass, field

from ulmfit_lib.errors import DataError
from ulmfit_lib.models.awd_lstm import LanguageModelNet
from ulmfit_lib.models.dropouts import Dropouts
from ulmfit_lib.progress import counted
from ulmfit_lib.tokens.documents import Documents
from ulmfit_lib.training.learner import Objective, Row
from ulmfit_lib.training.losses import SampledSoftmax
from ulmfit_lib.training.phases import train_phases, train_within_memory
from ulmfit_lib.training.processes import check_equal, my_share, share_model
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.schedules import Phase, discriminative_lrs, find_schedule
from ulmfit_lib.training.seeding import seeded
from ulmfit_lib.training.streams import LanguageModelStream


@dataclass(frozen=True)
class LanguageModelRecipe:
    """Hyperparameters of language-model training.

    Attributes:
        frozen_epochs: epochs with only the last group training (tied embedding and decoder), before all train.
        epochs: epochs with all groups training.
        lr: the top layer's maximal rate.
        decay: each lower layer's rate is the next one's divided by this (ULMFiT 3.2); 1 for one rate.
        layer_shares: each LSTM layer's rate as a share of ``lr`` instead, lowest first; the last ones count where there
            are fewer layers.
        tied_share: the rate of the tied embedding and decoder, as a share of ``lr``: it is the lowest and the highest
            group at once, and the paper's authors give it half in their scripts.
        schedule: ``slanted-triangular`` or ``one-cycle``.
        cut_frac: share of the steps in which the slanted triangle rises.
        ratio: its highest rate over its lowest.
        batch_size: rows of the token stream; of all processes together where several train.
        window: tokens per row and step (BPTT).
        samples: words in the sampled softmax; 0 uses the whole vocabulary.
        betas: AdamW's momenta.
        weight_decay: AdamW's.
        clip: the largest gradient norm; 0 clips nothing.
        dropouts: by place.
        patience: epochs without improvement before stopping; 0 never stops early.
        min_count: a new word joins the vocabulary with this many occurrences.
    """

    frozen_epochs: int = 0
    epochs: int = 1
    lr: float = 3e-3
    decay: float = 1.0
    layer_shares: tuple[float, ...] = ()
    tied_share: float = 1.0
    schedule: str = "one-cycle"
    cut_frac: float = 0.1
    ratio: float = 32
    batch_size: int = 80
    window: int = 64
    samples: int = 2048
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.0
    clip: float = 1.0
    dropouts: Dropouts = field(default_factory=Dropouts)
    patience: int = 0
    min_count: int = 3


def train_language_model(
    net: LanguageModelNet,
    train: Documents,
    valid: Documents,
    recipe: LanguageModelRecipe,
    *,
    run: Run,
    description: str,
) -> list[Row]:
    """Train ``net`` in place on texts in reading order; afterwards it holds the weights of the best epoch.

    Each epoch is measured on ``valid``, which may be empty: a row of training and validation loss in nats, perplexity
    and seconds is returned.
    """
    phases, share = language_model_phases(recipe, len(net.layer_groups()) - 1), my_share()
    check_equal(lambda: (train.fingerprint(), len(net.bias), recipe, run.seed))
    share_model(net)
    loss = SampledSoftmax(net, train.counts(len(net.bias)), samples=recipe.samples)

    def attempt(rows: int, run: Run) -> list[Row]:
        def batches(number: int) -> tuple[LanguageModelStream, LanguageModelStream]:
            return (
                LanguageModelStream(train, batch_size=rows, window=recipe.window, seed=run.seed + number, share=share),
                LanguageModelStream(valid, batch_size=rows, window=recipe.window, shuffle=False, share=share),
            )

        if (possible := batches(0)[0].batch_size) < share.of:
            raise DataError(
                f"the texts are too short for {share.of} processes: they make {counted(possible, 'row')} of "
                f"{recipe.window} tokens, and each process needs one; start fewer"
            )
        with seeded(share.seed(run.seed)):
            return train_phases(
                net,
                phases,
                batches,
                objective=Objective(loss),
                settings=recipe,
                run=run.of(net, {**asdict(recipe), "batch_size": rows}, train.fingerprint),
                description=description,
                patience=recipe.patience,
            )

    unit = f"rows of {recipe.window} tokens"
    found = train_within_memory(net, attempt, run, max_size=recipe.batch_size, min_size=1, unit=unit)
    return [{**row, "perplexity": math.exp(min(row["valid_loss"], 50))} for row in found]


def language_model_phases(recipe: LanguageModelRecipe, n_layers: int) -> list[Phase]:
    """The tied embedding and decoder first, then all groups; the LSTM layers are the lower groups."""
    lrs = [*layer_lrs(recipe, n_layers), recipe.lr * recipe.tied_share]
    schedule = find_schedule(recipe.schedule, cut_frac=recipe.cut_frac, ratio=recipe.ratio)
    return [
        Phase("last group", n_layers, recipe.frozen_epochs, lrs, schedule),
        Phase("all groups", 0, recipe.epochs, lrs, schedule),
    ]


def layer_lrs(recipe: LanguageModelRecipe, n_layers: int) -> list[float]:
    """The maximal rate of each LSTM layer, lowest first."""
    if not recipe.layer_shares:
        return discriminative_lrs(recipe.lr, n_layers, decay=recipe.decay)
    missing = max(0, n_layers - len(recipe.layer_shares))
    return [recipe.lr * share for share in (*[recipe.layer_shares[0]] * missing, *recipe.layer_shares[-n_layers:])]
