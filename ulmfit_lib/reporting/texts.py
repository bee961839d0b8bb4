"""The texts that a report shows: mistakes, hard and typical ones, doubtful labels, near copies; and a map of all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.insight.label_errors import SuspectedLabel, suspect
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.progress import bar
from ulmfit_lib.reporting.scored import Scored
from ulmfit_lib.serving.explanations import Explanation

MISTAKES, EACH, SUSPECTS, COPIES = 6, 2, 12, 8  # texts that are shown of a kind; of EACH, of each class
MOST_CLASSES = 8  # whose texts are shown
MOST_SHOWN = 420  # characters of a text that is shown whole
STRONG = 0.35  # of the strongest word's contribution, from which on a word is marked
MOST_MARKED = 10  # words of a text
AROUND = 60  # characters before the words that count most, where a text is cut
MOST_MAPPED, FEWEST_MAPPED = 600, 8


@dataclass(frozen=True)
class ShownText:
    """A text with the words that moved its label."""

    row: int  # in its file, from 1
    label: str  # its own
    predicted: str  # the label that the classifier gives it
    confidence: float  # of that prediction, in [0, 1]
    of: str  # the label that the colours explain
    text: Markup  # in colours, HTML


@dataclass(frozen=True)
class ClassTexts:
    """Texts of one class."""

    name: str  # of the class
    typical: list[ShownText]  # those most like the others of the class
    hardest: list[ShownText]  # those whose label is the least likely one, but for the mistakes that are shown already


@dataclass(frozen=True)
class CopyGroup:
    """Texts that are copies or near copies of each other."""

    rows: list[int]  # in their file, from 1
    labels: list[str]  # that they have, each once
    text: str  # the first of them


@dataclass(frozen=True)
class Shown:
    """All of them."""

    mistakes: list[ShownText]  # the most confident first
    classes: list[ClassTexts]  # of each class, or of the largest ones
    suspects: list[SuspectedLabel]  # labels that may be wrong, the most doubtful first


def find_shown(classifier: TextClassifier, scored: Scored, vectors: Floats) -> Shown:
    """The texts worth a look among those that were scored, by their (n_rows, width) vectors."""
    table, targets, probabilities = scored.table, scored.targets, scored.probabilities[ENSEMBLE]
    assert table is not None and targets is not None
    said = classifier.decide(probabilities)
    mistakes = _most_confident_mistakes(classifier, table, targets, probabilities)
    taken = {place for place, _ in mistakes}
    belongs = targets.astype(bool) if targets.ndim == 2 else np.eye(len(classifier.classes), dtype=bool)[targets]
    classes: list[tuple[int, list[int], list[int]]] = []
    for number in sorted(np.argsort(-belongs.sum(0), kind="stable")[:MOST_CLASSES].tolist()):
        places = np.flatnonzero(belongs[:, number])
        if not len(places):
            continue
        near = places[np.argsort(-(vectors[places] @ vectors[places].mean(0)), kind="stable")].tolist()
        typical = [one for one in near if targets.ndim == 2 or said[one] == number][:EACH]
        unlikely = places[np.argsort(probabilities[places, number], kind="stable")].tolist()
        classes.append((number, typical, [one for one in unlikely if one not in {*taken, *typical}][:EACH]))
    asked = [*mistakes, *((place, number) for number, typical, hard in classes for place in (*typical, *hard))]
    shown: dict[tuple[int, int], ShownText] = {}
    with bar(total=len(asked), description="explaining texts", unit="text") as progress:
        for place, number in asked:
            if (place, number) not in shown and table.texts[place].strip():
                shown[place, number] = _show(classifier, table, place, number, probabilities[place : place + 1])
            progress.update(1)

    def pick(places: Sequence[int], number: int) -> list[ShownText]:
        return [shown[place, number] for place in places if (place, number) in shown]

    return Shown(
        [shown[one] for one in mistakes if one in shown],
        [ClassTexts(classifier.classes[number], pick(a, number), pick(b, number)) for number, a, b in classes],
        _suspects(classifier, table, probabilities),
    )


def _most_confident_mistakes(
    classifier: TextClassifier, table: TextTable, targets: Ints, probabilities: Floats
) -> list[tuple[int, int]]:
    """Places, and the class that was predicted wrongly; of ratings, the farthest from the truth."""
    kind = classifier.kind
    decisions, decided = kind.decisions(probabilities), kind.decided(targets)
    said = classifier.decide(probabilities)
    guessed, each = kind.decided(said), len(decisions) // len(table)
    badness = np.where(guessed != decided, decisions[np.arange(len(decisions)), guessed], 0.0)
    if table.numbers:
        badness = np.abs(kind.said(probabilities, decided=said) - np.array(table.numbers, np.float64))
    found: list[tuple[int, int]] = []
    for decision in np.argsort(-badness, kind="stable")[: each * MISTAKES].tolist():
        place, number = divmod(decision, each) if each > 1 else (decision, int(guessed[decision]))
        if badness[decision] > 0 and all(place != other for other, _ in found):
            found.append((place, number))
    return found[:MISTAKES]


def _suspects(classifier: TextClassifier, table: TextTable, probabilities: Floats) -> list[SuspectedLabel]:
    if not classifier.kind.one_class_per_text or table.classes != classifier.classes:
        return []
    return suspect(table, probabilities, classifier.decide(probabilities))[:SUSPECTS]


def _show(classifier: TextClassifier, table: TextTable, place: int, number: int, probabilities: Floats) -> ShownText:
    explained = classifier.explain(table.texts[place], label=classifier.classes[number])
    label = f"{table.numbers[place]:g}" if table.numbers else (table.labels[place] or "")
    return ShownText(
        table.rows[place],
        label,
        classifier.decode(probabilities)[0],
        float(classifier.confidence(probabilities)[0]),
        classifier.classes[number],
        coloured(explained),
    )


def coloured(explained: Explanation, most: int = MOST_SHOWN) -> Markup:
    """A text with its strongest words marked: ``for`` its label, or ``against`` it; of a long one, where they are."""
    start, end = _window(explained, most)
    inside = np.array([start <= left and right <= end for left, right in explained.spans], bool)
    sizes = np.where(inside, np.abs(explained.contributions), 0.0)
    strongest = max(float(sizes.max(initial=0.0)), 1e-9)
    least = max(STRONG * strongest, *np.sort(sizes)[-MOST_MARKED:][:1].tolist(), 1e-9)
    parts, done = [Markup("… " if start else "")], start
    for (left, right), added, size in zip(explained.spans, explained.contributions.tolist(), sizes, strict=True):
        if size < least:
            continue
        mark = Markup('<mark class="{}" style="--w:{:.0f}%">{}</mark>')
        side, word = ("for" if added > 0 else "against"), explained.text[left:right]
        parts += [Markup.escape(explained.text[done:left]), mark.format(side, 12 + 48 * size / strongest, word)]
        done = right
    parts.append(Markup.escape(explained.text[done:end]))
    return Markup("").join([*parts, " …" if end < len(explained.text) else ""])


def _window(explained: Explanation, most: int) -> tuple[int, int]:
    """Where to begin and end so that no more than ``most`` characters hold as much as they can."""
    length = len(explained.text)
    if length <= most:
        return 0, length
    starts = np.array([start for start, _ in explained.spans])
    ends = np.array([end for _, end in explained.spans])
    sizes = np.abs(explained.contributions)
    inside = [sizes[(starts >= start) & (ends <= start + most - AROUND)].sum() for start in starts]
    best = max(0, int(starts[int(np.argmax(inside))]) - AROUND)
    begin = 0 if best < AROUND else min((int(one) for one in starts if one >= best), default=best)
    end = min(length, begin + most)
    cut = explained.text.rfind(" ", begin, end) if end < length else end
    return begin, cut if cut > begin else end


def find_copies(table: TextTable, shown: bool = True) -> tuple[int, int, list[CopyGroup]]:
    """Rows that are copies or near copies of others, how many groups of them contradict themselves, and the worst."""
    groups, found = table.groups, []
    sizes = np.bincount(groups)
    for group in np.flatnonzero(sizes > 1).tolist():
        places = np.flatnonzero(groups == group).tolist()
        labels = sorted({label for label in (table.labels[place] for place in places) if label is not None})
        found.append(CopyGroup([table.rows[place] for place in places], labels, table.texts[places[0]]))
    found.sort(key=lambda one: (-(len(one.labels) > 1), -len(one.rows), one.rows[0]))
    torn = sum(len(one.labels) > 1 for one in found)
    return sum(len(one.rows) for one in found), torn, found[:COPIES] if shown else []


def map_places(vectors: Floats, seed: int) -> Floats:
    """(n, 2) places in the unit square, near each other where vectors are (t-SNE, van der Maaten & Hinton 2008)."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    vectors = np.asarray(vectors, np.float64)
    narrow = PCA(min(50, *vectors.shape), random_state=seed, svd_solver="full").fit_transform(vectors)
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    places = TSNE(2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1).fit_transform(narrow)
    low, high = places.min(0), places.max(0)
    return np.asarray((places - low) / np.maximum(high - low, 1e-9), np.float64)
