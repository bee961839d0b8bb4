"""How a language model is trained: streams, loss, phases of unfreezing, checkpoints."""

import time
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import torch

from ulmfit_lib.data.batching import LanguageModelStream
from ulmfit_lib.data.corpus import Documents
from ulmfit_lib.models.architecture import Dropouts
from ulmfit_lib.models.awd_lstm import LanguageModelNet
from ulmfit_lib.models.devices import fast_bfloat16
from ulmfit_lib.training.checkpoints import Checkpoints, run_facts
from ulmfit_lib.training.learner import History, Row, build_learner
from ulmfit_lib.training.losses import SampledSoftmax
from ulmfit_lib.training.memory import train_within_memory
from ulmfit_lib.training.schedules import discriminative_lrs, find_schedule


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
        batch_size: rows of the token stream.
        window: tokens per row and step (BPTT).
        samples: words in the sampled softmax; 0 uses the whole vocabulary.
        betas: AdamW's momenta.
        weight_decay: AdamW's.
        clip: the largest gradient norm; 0 clips nothing.
        dropouts: by place.
        patience: epochs without improvement before stopping; 0 never stops early.
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


@dataclass(frozen=True)
class Phase:
    """One call of ``fit``: which groups train, and how long."""

    name: str
    frozen_groups: int
    epochs: int


def train_language_model(
    net: LanguageModelNet,
    train: Documents,
    valid: Documents,
    recipe: LanguageModelRecipe,
    *,
    seed: int,
    device: torch.device,
    description: str,
    checkpoints: Checkpoints | None = None,
) -> list[Row]:
    """Train ``net`` in place; afterwards it holds the best epoch's weights.

    Args:
        net: the model.
        train: texts to learn from, as ids in reading order.
        valid: texts to measure each epoch on; may be empty.
        recipe: hyperparameters.
        seed: of the texts' order, the dropout and the sampled words.
        device: where to train.
        description: what the progress bar says.
        checkpoints: where to keep them; a run that was stopped goes on from there.

    Returns:
        One row per epoch: training and validation loss in nats, perplexity, seconds.

    Raises:
        TrainingError: the loss explodes, memory is too small, or the checkpoints are of another run.
    """

    def attempt(rows: int, kept: Checkpoints | None) -> list[Row]:
        return _train(
            net, train, valid, replace(recipe, batch_size=rows), seed=seed, device=device, description=description,
            checkpoints=kept,
        )  # fmt: skip

    unit = f"rows of {recipe.window} tokens"
    return train_within_memory(net, attempt, checkpoints, most=recipe.batch_size, least=1, unit=unit)


def _train(
    net: LanguageModelNet, train: Documents, valid: Documents, recipe: LanguageModelRecipe, *, seed: int,
    device: torch.device, description: str, checkpoints: Checkpoints | None,
) -> list[Row]:  # fmt: skip
    torch.manual_seed(seed)
    counts = train.counts(len(net.bias))
    last = len(net.layer_groups()) - 1
    phases = [
        Phase("last group", last, recipe.frozen_epochs),
        Phase("all groups", 0, recipe.epochs),
    ]
    rows: list[Row] = []
    made_of = run_facts(net, {**asdict(recipe), "seed": seed}, train.fingerprint()) if checkpoints else {}
    net.mixed_precision = fast_bfloat16(device)
    for number, phase in enumerate(phases):
        if not phase.epochs:
            continue
        history = History(f"{description}, {phase.name}", patience=recipe.patience)
        keeper = checkpoints.callbacks(f"phase-{number}", made_of) if checkpoints else []
        learner = build_learner(
            net,
            LanguageModelStream(train, batch_size=recipe.batch_size, window=recipe.window, seed=seed + number),
            LanguageModelStream(valid, batch_size=recipe.batch_size, window=recipe.window, shuffle=False),
            loss=SampledSoftmax(net, counts, samples=recipe.samples),
            groups=LanguageModelNet.layer_groups,
            lrs=[*layer_lrs(recipe, last), recipe.lr * recipe.tied_share],
            schedule=find_schedule(recipe.schedule, cut_frac=recipe.cut_frac, ratio=recipe.ratio),
            device=device,
            betas=recipe.betas,
            weight_decay=recipe.weight_decay,
            clip=recipe.clip,
            callbacks=[history, *keeper],
        )
        learner.create_opt()
        learner.freeze_to(phase.frozen_groups)
        started = time.monotonic()
        learner.fit(phase.epochs)
        for row in history.rows:
            rows.append({**row, "epoch": len(rows) + 1, "perplexity": float(np.exp(min(row["valid_loss"], 50)))})
        rows[-1]["phase_seconds"] = time.monotonic() - started
    net.mixed_precision = False
    net.reset()
    return rows


def layer_lrs(recipe: LanguageModelRecipe, n_layers: int) -> list[float]:
    """The maximal rate of each LSTM layer, lowest first."""
    if not recipe.layer_shares:
        return discriminative_lrs(recipe.lr, n_layers, decay=recipe.decay)
    missing = max(0, n_layers - len(recipe.layer_shares))
    return [recipe.lr * share for share in (*[recipe.layer_shares[0]] * missing, *recipe.layer_shares[-n_layers:])]
