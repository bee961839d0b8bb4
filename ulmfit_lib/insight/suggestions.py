"""Which texts to label next: typical ones while labels are few, then uncertain ones that differ from each other."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ulmfit_lib.arrays import Floats, Ints, Vectors
from ulmfit_lib.errors import DataError, OptionError

FEW_LABELS = 50  # below, a classifier's probabilities say too little of what it lacks
TYPICAL, UNCERTAIN, AUDIT = "typical", "uncertain", "audit"
CANDIDATES = 5  # times as many uncertain texts are looked at as are asked for
MAX_CLUSTERS = 500
MAX_CLUSTERED = 20_000  # texts; of more a random part is clustered


@dataclass(frozen=True)
class Suggestion:
    """A text to label."""

    place: int  # among the texts that were given
    why: str  # `typical`, `uncertain`, or `audit`: drawn at random, to score on


def suggest_labels(
    vectors: Vectors,
    *,
    n: int,
    probabilities: Floats | None = None,
    labelled: Sequence[int] = (),
    known: int | None = None,
    audit_share: float = 0.2,
    seed: int = 42,
) -> list[Suggestion]:
    """The texts whose labels should help a classifier most, and some at random to see how good it is.

    With fewer than 50 labels the most typical text of each large group that has no label yet comes first (TypiClust,
    Hacohen et al. 2022); then texts between whose two likeliest labels the classifier hesitates, no two of them from
    one group (cluster-margin, Citovsky et al. 2021). What is chosen is not what is common: a score on such rows is
    biased. The share that is drawn at random first is there to score on.

    Args:
        vectors: (n_texts, width), of length 1.
        n: how many to suggest.
        probabilities: (n_texts, n_classes) of a classifier; None: typical texts only.
        labelled: places of texts that have a label already.
        known: labels that the classifier was trained on; default those.
        audit_share: of ``n``, drawn at random.
        seed: of all that is random.

    Raises:
        OptionError: a share outside [0, 1), or nothing asked for.
        DataError: every text has a label.

    Examples:
        >>> vectors = lm.embed(reviews.texts[:60])
        >>> [suggestion.why for suggestion in suggest_labels(vectors, n=5)]
        ['typical', 'typical', 'typical', 'typical', 'audit']
    """
    if n < 1 or not 0 <= audit_share < 1:
        raise OptionError(
            f"{n} texts with an audit share of {audit_share}: ask for one text at least, and a share below 1"
        )
    free = np.setdiff1d(np.arange(len(vectors)), np.asarray(labelled, np.int64))
    if not len(free):
        raise DataError("every text has a label already, so there is none to suggest")
    random = np.random.default_rng(seed)
    audit = random.permutation(free)[: round(audit_share * n)]
    free = np.setdiff1d(free, audit)
    wanted = min(n - len(audit), len(free))
    have = len(labelled) if known is None else known
    few = wanted if probabilities is None else min(max(0, FEW_LABELS - have), wanted)
    first = find_typical(vectors, free, labelled=labelled, n=few, seed=seed)
    found = [Suggestion(place, TYPICAL) for place in first]
    if probabilities is not None and few < wanted:
        left = np.setdiff1d(free, np.asarray(first, np.int64))
        more = find_uncertain(vectors, left, probabilities, n=wanted - few, seed=seed)
        found += [Suggestion(place, UNCERTAIN) for place in more]
    return found + [Suggestion(int(place), AUDIT) for place in audit]


def find_typical(vectors: Vectors, free: Ints, *, labelled: Sequence[int], n: int, seed: int) -> list[int]:
    """Of each of the ``n`` largest groups without a label, the text in the middle; the largest group first."""
    if n < 1 or not len(free):
        return []
    places = np.concatenate([np.asarray(labelled, np.int64), free])
    if len(free) > MAX_CLUSTERED:
        drawn = np.random.default_rng(seed).permutation(free)[:MAX_CLUSTERED]
        places = np.concatenate([np.asarray(labelled, np.int64), np.sort(drawn)])
    count = min(len(labelled) + n, MAX_CLUSTERS, len(places))
    groups, distances = _cluster(vectors[places], count, seed)
    has_label = np.arange(len(places)) < len(labelled)
    sizes = np.bincount(groups, minlength=count)
    covered = np.bincount(groups[has_label], minlength=count)
    open_places = [np.flatnonzero((groups == group) & ~has_label) for group in range(count)]
    for inside in open_places:
        inside[:] = inside[np.argsort(distances[inside], kind="stable")]
    order = np.lexsort((-sizes, covered))
    found: list[int] = []
    for turn in range(len(places)):  # the middle of each group, then what lies next to it
        for group in order:
            if turn < len(open_places[group]) and len(found) < n:
                found.append(int(places[open_places[group][turn]]))
        if len(found) == n:
            break
    return found


def find_uncertain(vectors: Vectors, free: Ints, probabilities: Floats, *, n: int, seed: int) -> list[int]:
    """Of the texts with the least margin between their two likeliest labels, one of each of ``n`` groups."""
    if n < 1 or not len(free):
        return []
    margins = margin(probabilities[free])
    closest = free[np.argsort(margins, kind="stable")[: CANDIDATES * n]]
    groups, _ = _cluster(vectors[closest], min(n, len(closest)), seed)
    turns = np.zeros(len(closest), np.int64)  # how many of its group are more uncertain
    seen: dict[int, int] = {}
    for i, group in enumerate(groups.tolist()):
        turns[i] = seen[group] = seen.get(group, -1) + 1
    return closest[np.argsort(turns, kind="stable")[:n]].tolist()


def margin(probabilities: Floats) -> Floats:
    """(n,) how far the likeliest class is ahead of the second; of a single one, how far from a half."""
    if probabilities.shape[1] < 2:
        return np.asarray(np.abs(2 * probabilities[:, 0] - 1))
    best = np.sort(probabilities, axis=1)
    return np.asarray(best[:, -1] - best[:, -2])


def _cluster(vectors: Vectors, count: int, seed: int) -> tuple[Ints, Floats]:
    """Each vector's group, and its distance from the group's middle."""
    from sklearn.cluster import KMeans

    if count >= len(vectors):
        return np.arange(len(vectors)), np.zeros(len(vectors))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Number of distinct clusters")  # copies of one text: fewer groups are fine
        found = KMeans(count, n_init=1, max_iter=30, random_state=seed).fit(vectors)
    return found.labels_.astype(np.int64), np.linalg.norm(vectors - found.cluster_centers_[found.labels_], axis=1)
