"""Are new texts still what a model knows? By the words that a language model expects, and by vectors."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from ulmfit_lib.arrays import Floats, Vectors
from ulmfit_lib.data.stored_texts import as_texts
from ulmfit_lib.errors import DataError
from ulmfit_lib.insight.readers import Reader, nearest
from ulmfit_lib.models.known_texts import KnownTexts, draw, log_loss_per_word
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.progress import counted
from ulmfit_lib.rows.batch import Rows
from ulmfit_lib.rows.predictions import free_names

MIN_TEXTS = 20  # of each side
SIGNIFICANCE = 0.005  # of each of two tests: a false alarm in a hundred
MIN_DISTANCE = 0.15  # Kolmogorov and Smirnov's distance, below which a difference does not matter
MIN_AUC = 0.6  # of new texts against known ones by their vectors, likewise


@dataclass(frozen=True, eq=False)
class Novelty:
    """How surprising texts are to a language model, beside texts that are known."""

    lm: LanguageModel
    known: Floats  # (n_known,) log loss per word of known texts, sorted

    @classmethod
    def measure(
        cls, lm: LanguageModel, known: Sequence[str] | KnownTexts, *, seed: int = 42, device: str = "cpu"
    ) -> "Novelty":
        """By known texts, of many by some drawn at random; or by what a model's folder keeps of them."""
        if isinstance(known, KnownTexts):
            return cls(lm, np.sort(known.log_losses))
        return cls(lm, np.sort(log_loss_per_word(lm, draw(known, seed), device=device)))

    def of(self, texts: Sequence[str], *, device: str = "cpu") -> tuple[Floats, Floats]:
        """(n,) log loss per word; and (n,) the share of known texts that are less surprising. nan without a word."""
        losses = log_loss_per_word(self.lm, texts, device=device)
        shares = np.searchsorted(self.known, losses) / max(len(self.known), 1)
        return losses, np.where(np.isnan(losses), np.nan, shares)


def with_novelty(rows: Rows, texts: Sequence[str], novelty: Novelty, *, device: str) -> Rows:
    """Rows with two more columns: each text's nats per word, and the share of known texts less surprising."""
    nats = shares = np.full(len(texts), np.nan)
    if any(text.split() for text in texts):
        nats, shares = novelty.of(texts, device=device)
    names = free_names(rows.names, ["nats per word", "share of known texts less surprising"])
    numbers = [nats.round(4).tolist(), shares.round(4).tolist()]
    return rows.adding(dict(zip(names, numbers, strict=True)), dict.fromkeys(names, "double"))


@dataclass(frozen=True)
class Drift:
    """New texts beside known ones."""

    known_texts: int  # how many were looked at
    new_texts: int
    known_nats: float  # mean nats per word under the language model
    new_nats: float
    words_distance: float  # between the distributions of these (Kolmogorov and Smirnov), in [0, 1]
    words_chance: float  # that texts of one source differ as much
    told_apart: float  # how often a new text is told from a known one by its vector (area under the ROC curve)
    vectors_chance: float  # that texts of one source are told apart as well
    known_unknown: float  # shares of words outside the vocabulary
    new_unknown: float

    @property
    def by_words(self) -> bool:
        """The words are not those that are known."""
        return self.words_chance < SIGNIFICANCE and self.words_distance >= MIN_DISTANCE

    @property
    def by_vectors(self) -> bool:
        """The texts are not about, or not written like, those that are known."""
        return self.vectors_chance < SIGNIFICANCE and self.told_apart >= MIN_AUC

    @property
    def drifted(self) -> bool:
        """By words or by vectors."""
        return self.by_words or self.by_vectors

    def sentences(self) -> list[str]:
        """For people."""
        words = (
            f"Words: a word of the new texts surprises the language model by {self.new_nats:.2f} nats on average, and "
            f"one of the known texts by {self.known_nats:.2f}. The distributions are {self.words_distance:.2f} apart, "
            f"where 0 means the same and 1 nothing in common. {100 * self.new_unknown:.1f} % of the words of the new "
            f"texts are unknown, and {100 * self.known_unknown:.1f} % of the known ones'. "
            f"{'By words, this is a drift.' if self.by_words else 'By words, this is no drift.'}"
        )
        vectors = (
            f"Vectors: of a new and a known text, their vectors tell which is the new one {100 * self.told_apart:.0f} "
            "times of 100, where guessing gives 50. "
            f"{'By vectors, this is a drift.' if self.by_vectors else 'By vectors, this is no drift.'}"
        )
        if self.drifted:
            end = (
                "The new texts are no longer what the model knows: label some of them, score the model on these, and "
                "let `fit` read the new texts, too."
            )
        else:
            end = "The new texts are still what the model knows."
        return [words, vectors, end]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"drifted": self.drifted, "by_words": self.by_words, "by_vectors": self.by_vectors, **asdict(self)}


def find_drift(
    known: Sequence[str] | KnownTexts,
    new: Sequence[str],
    *,
    lm: LanguageModel,
    reader: Reader,
    seed: int = 42,
    device: str = "cpu",
) -> Drift:
    """Whether new texts differ from known ones by more than chance, and by enough to matter.

    By words: Kolmogorov and Smirnov's test on nats per word. By vectors: whether a linear classifier tells new from
    known texts out of fold (a classifier two-sample test, Lopez-Paz & Oquab 2017), with Mann and
    Whitney's test.

    Args:
        known: texts of the kind that the model was made from, or what its folder keeps of them.
        new: texts to compare.
        lm: the language model that finds words likely or not.
        reader: what makes the vectors: a classifier or a language model.
        seed: of what is drawn.
        device: ``cpu`` or ``cuda``.

    Raises:
        DataError: fewer than 20 texts on one side.
    """
    from scipy.stats import ks_2samp, mannwhitneyu
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    known, new = (
        known if isinstance(known, KnownTexts) else as_texts(known, called="known"),
        as_texts(new, called="new"),
    )
    if min(len(known), len(new)) < MIN_TEXTS:
        raise DataError(
            f"drift cannot be told from {counted(len(known), 'known text')} and {len(new):,} new: each side needs "
            f"{MIN_TEXTS} at least"
        )
    pooling = ""
    if isinstance(known, KnownTexts):  # older records do not name it
        pooling = known.pooling or ("distilled" if lm.architecture.distilled else "layers")
    measure = partial(KnownTexts.measure, lm=lm, reader=reader, seed=seed, device=device, pooling=pooling)
    sides = [known if isinstance(known, KnownTexts) else measure(known), measure(new)]
    nats = [one.log_losses[~np.isnan(one.log_losses)] for one in sides]
    by_words = ks_2samp(*nats)
    vectors = np.concatenate([one.vectors for one in sides])
    truth = np.repeat([0, 1], [len(one) for one in sides])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=500))
    order = np.random.default_rng(seed).permutation(len(truth))
    said = np.zeros(len(truth))
    said[order] = cross_val_predict(model, vectors[order], truth[order], cv=5, method="decision_function")
    by_vectors = mannwhitneyu(said[truth == 1], said[truth == 0], alternative="greater")
    auc = float(by_vectors.statistic) / (int((truth == 1).sum()) * int((truth == 0).sum()))
    return Drift(
        len(sides[0]),
        len(sides[1]),
        float(nats[0].mean()),
        float(nats[1].mean()),
        float(by_words.statistic),
        float(by_words.pvalue),
        auc,
        float(by_vectors.pvalue),
        *(one.unknown_share for one in sides),
    )


def likeness(reader: Reader, known: Sequence[str], texts: Sequence[str], *, seed: int, device: str) -> Vectors:
    """(n,) the cosine of each text with the known one, of at most 300 drawn at random, that is most like it."""
    reader = reader.to(device)
    return nearest(reader.embed(texts), reader.embed(draw(known, seed)))
