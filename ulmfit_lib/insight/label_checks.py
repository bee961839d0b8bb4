"""What can be wrong with labels: too few, unrelated to the texts, one class like another, noise, rare classes."""

from itertools import permutations

import numpy as np

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.data.label_checks import spellings, spelt_apart
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.insight.findings import ALIKE, DATA, FEW_LABELS, LABELS_SAY_NOTHING, NOISE, RARE, Finding
from ulmfit_lib.insight.label_errors import own_probabilities

MIN_LABELS = 40  # below, nothing else can be told from them
MIN_ROWS_PER_CLASS = 5
PERMUTATIONS = 200
SIGNIFICANCE = 0.02  # of the permutation test for a relation between labels and texts
MIN_ROWS_TO_COMPARE = 12  # of each of two classes
MAX_AUC = 0.6  # of one class against another that is like it
MAX_RECALL = 0.25  # of a class that is hidden in another one ...
MIN_CONFUSED = 0.6  # ... and share of its rows that are predicted to be of that one
DOUBTFUL = 0.1  # probability of a label that is doubted ...
MAX_DOUBTFUL = 0.08  # ... and share of rows with such a label


def check_amount(table: TextTable) -> Finding | None:
    """Too few labels in all."""
    if len(table) >= MIN_LABELS:
        return None
    return Finding(
        FEW_LABELS,
        DATA,
        f"There are {len(table)} labels, too few to learn from or to measure on: any score would be mostly chance.",
        "Label 50 to 100 more texts: `suggest-labels` says which are worth it.",
    )


def check_relation(probabilities: Floats, table: TextTable, *, seed: int) -> Finding | None:
    """Labels that the texts do not predict: out of fold, they are no likelier than the labels of other rows."""
    random, targets = np.random.default_rng(seed), table.class_numbers()

    def likelihood_of(some: Ints) -> float:
        return float(np.log(own_probabilities(table, probabilities, some).clip(1e-6, 1)).mean())

    likelihood = likelihood_of(targets)
    by_chance = [likelihood_of(random.permutation(targets)) for _ in range(PERMUTATIONS)]
    if np.mean(np.array(by_chance) >= likelihood) <= SIGNIFICANCE:
        return None
    return Finding(
        LABELS_SAY_NOTHING,
        DATA,
        "The labels have nothing to do with the texts, as far as classifiers can see: on held-out rows they are no "
        "better than chance.",
        "Look at 20 rows: were labels and texts joined by the wrong key, or one column sorted without the other?",
    )


def check_classes(probabilities: Floats, decided: Ints, table: TextTable) -> Finding | None:
    """Two classes whose texts a classifier cannot tell apart; of several pairs, the one with the least AUC."""
    from sklearn.metrics import roc_auc_score

    targets, classes = table.class_numbers(), table.classes
    if len(classes) < 3 or not table.kind.one_class_per_text:
        return None  # ratings beside each other are alike, and tags exclude none
    logs = np.log(probabilities.clip(1e-6, 1))
    alike: dict[tuple[str, str], float] = {}
    compared = np.flatnonzero(np.bincount(targets, minlength=len(classes)) >= MIN_ROWS_TO_COMPARE).tolist()
    for a, b in permutations(compared, 2):
        both = (targets == a) | (targets == b)
        auc = float(roc_auc_score(targets[both] == a, (logs[:, a] - logs[:, b])[both]))
        of_a = decided[targets == a]
        hidden = (of_a == a).mean() <= MAX_RECALL and (of_a == b).mean() >= MIN_CONFUSED
        if hidden or auc < MAX_AUC:
            alike[classes[a], classes[b]] = min(auc, MAX_AUC)
    if not alike:
        return None
    one, other = min(alike, key=alike.__getitem__)
    return Finding(
        ALIKE,
        DATA,
        f"Texts labelled {one!r} cannot be told from texts labelled {other!r}: one class is hidden in the other.",
        "Make one class of the two, or write down what parts them and label their rows again.",
    )


def check_noise(probabilities: Floats, table: TextTable) -> Finding | None:
    """Labels that contradict each other, or what classifiers predict with near certainty."""
    labels, groups = np.array(table.targets()), table.groups
    several = np.flatnonzero(np.bincount(groups) > 1).tolist()
    contradictory = [group for group in several if len(set(labels[groups == group].tolist())) > 1]
    n_contradictory = int(np.isin(groups, contradictory).sum())
    own = own_probabilities(table, probabilities).min(1)
    n_doubtful = int((own < DOUBTFUL).sum()) if table.kind.one_class_per_text else 0
    if max(n_contradictory, n_doubtful) <= MAX_DOUBTFUL * len(table):
        return None
    row = table.rows[int(own.argmin())]
    doubted = f"{n_doubtful} of {len(table)} have a label that classifiers find most unlikely; " if n_doubtful else ""
    copies = f"{n_contradictory} rows are near copies of a row with another label; " if n_contradictory else ""
    return Finding(
        NOISE,
        DATA,
        f"Labels contradict each other: {copies}{doubted}the most doubtful one is that of row {row}.",
        "Run `check-labels` and correct what is wrong; it shows the most doubtful first.",
    )


def check_rare(table: TextTable) -> Finding | None:
    """Classes with next to no rows."""
    rare = [f"{name!r} ({count})" for name, count in table.label_counts.items() if count < MIN_ROWS_PER_CLASS]
    if not rare:
        return None
    return Finding(
        RARE,
        DATA,
        f"Too few rows have the label {', '.join(rare[:5])}: it can be neither learnt nor measured.",
        f"Label at least {MIN_ROWS_PER_CLASS} rows of each class, or join it with another class.",
    )


def check_spelling(table: TextTable) -> Finding | None:
    """Labels that are written in several ways, and so are several classes."""
    alike = spellings(table.classes)
    if not alike:
        return None
    said = spelt_apart(alike)
    return Finding(
        ALIKE,
        DATA,
        f"{said[:1].upper()}{said[1:]}: they differ in capitals or blanks alone.",
        "Write each of them in one way.",
    )
