"""What can be wrong with labels: too few, unrelated to the texts, one class like another, noise, rare classes."""

import numpy as np

from ulmfit_lib.arrays import Floats
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.insight.findings import ALIKE, DATA, FEW_LABELS, LABELS_SAY_NOTHING, NOISE, RARE, Finding
from ulmfit_lib.insight.label_errors import doubtful_first

FEW = 40  # labelled rows; below, nothing else can be told from them
FEWEST_A_CLASS = 5
PERMUTATIONS = 200
CHANCE = 0.02  # of luck, above which labels seem to have nothing to do with the texts
SAME = 0.6  # how often one of two classes is told from the other (area under the ROC curve), at most
RECALL, TAKEN_FOR = 0.25, 0.6  # of a class's rows that are found, at most, and taken for one other class, at least
FEWEST_ALIKE = 12
DOUBTFUL, MOST_DOUBTFUL = 0.1, 0.08  # probability of a label that is doubted, and share of rows where it may be


def check_amount(table: TextTable) -> Finding | None:
    """Too few labels in all."""
    if len(table) >= FEW:
        return None
    return Finding(
        FEW_LABELS,
        DATA,
        f"There are {len(table)} labels, too few to learn from or to measure on: any score would be mostly chance.",
        "Label 50 to 100 more texts: `suggest-labels` says which are worth it.",
    )


def check_relation(probabilities: Floats, table: TextTable, *, seed: int) -> Finding | None:
    """Labels that texts do not tell: rows' own labels are no likelier, out of fold, than other rows' labels are."""
    targets = table.class_numbers()
    logs, random = np.log(probabilities.clip(1e-6, 1)), np.random.default_rng(seed)
    rows = np.arange(len(targets))
    found = logs[rows, targets].mean()
    by_chance = [logs[rows, random.permutation(targets)].mean() for _ in range(PERMUTATIONS)]
    if np.mean(np.array(by_chance) >= found) <= CHANCE:
        return None
    return Finding(
        LABELS_SAY_NOTHING,
        DATA,
        "The labels have nothing to do with the texts, as far as classifiers can see: on rows that they have not "
        "learnt from, they guess no better than chance.",
        "Look at 20 rows: were labels and texts joined by the wrong key, or one column sorted without the other?",
    )


def check_classes(probabilities: Floats, table: TextTable) -> Finding | None:
    """Two classes whose texts are the same to a classifier."""
    from sklearn.metrics import roc_auc_score

    targets, classes = table.class_numbers(), table.classes
    counts = np.bincount(targets, minlength=len(classes))
    guessed, worst = probabilities.argmax(1), (SAME, -1, -1)
    if len(classes) < 3:
        return None
    logs = np.log(probabilities.clip(1e-6, 1))
    for a in range(len(classes)):
        for b in range(len(classes)):
            if a == b or min(counts[a], counts[b]) < FEWEST_ALIKE:
                continue
            both = (targets == a) | (targets == b)
            told = roc_auc_score(targets[both] == a, (logs[:, a] - logs[:, b])[both])
            mine = guessed[targets == a]
            hidden = (mine == a).mean() <= RECALL and (mine == b).mean() >= TAKEN_FOR
            if hidden:
                told = min(told, SAME - 0.01)
            if told < worst[0]:
                worst = (float(told), a, b)
    if worst[1] < 0:
        return None
    one, other = classes[worst[1]], classes[worst[2]]
    return Finding(
        ALIKE,
        DATA,
        f"Texts labelled {one!r} cannot be told from texts labelled {other!r}: one class is hidden in the other.",
        "Make one class of the two, or write down what parts them and label their rows again.",
    )


def check_noise(probabilities: Floats, table: TextTable) -> Finding | None:
    """Labels that contradict each other or nearly all that classifiers have learnt."""
    targets, groups = table.class_numbers(), table.groups
    own = probabilities[np.arange(len(targets)), targets]
    several = {group for group in groups.tolist() if len(set(targets[groups == group].tolist())) > 1}
    torn = int(np.isin(groups, list(several)).sum())
    doubted = int((own < DOUBTFUL).sum())
    if max(torn, doubted) <= MOST_DOUBTFUL * len(table):
        return None
    row = table.rows[int(doubtful_first(probabilities, targets)[0])]
    copies = f"{torn} rows are near copies of a row with another label; " if torn else ""
    return Finding(
        NOISE,
        DATA,
        f"Labels contradict each other: {copies}{doubted} of {len(table)} have a label that classifiers find most "
        f"unlikely; the most doubtful one is that of row {row}.",
        "Run `check-labels` and correct what is wrong; it shows the most doubtful first.",
    )


def check_rare(table: TextTable) -> Finding | None:
    """Classes with next to no rows."""
    rare = [f"{name!r} ({count})" for name, count in table.label_counts.items() if count < FEWEST_A_CLASS]
    if not rare:
        return None
    return Finding(
        RARE,
        DATA,
        f"Too few rows have the label {', '.join(rare[:5])}: it can be neither learnt nor measured.",
        f"Label at least {FEWEST_A_CLASS} rows of each class, or join it with another class.",
    )
