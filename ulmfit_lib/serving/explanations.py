"""Which words a prediction hangs on: what each adds to the log odds of the answer, for all that predicts."""

import html
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ulmfit_lib.arrays import Floats
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.labels.decision import DecisionRule
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.tokens.rules import UNKNOWN

if TYPE_CHECKING:
    from ulmfit_lib.serving.classifier import Classifier

Span = tuple[int, int]  # where a word starts in a text, and where it ends
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+(?:['’-]\w+)*|[^\w\s]+")
PLACEHOLDERS = (UNKNOWN, f"{UNKNOWN}own")  # in turns: fastai's rules would count one word that is repeated
MAX_PARTS = 150  # of a text that are replaced one by one; words of longer texts are replaced together
STRONG = 0.2  # of the strongest word's contribution, from which on a word is shown
MAX_PHRASES = 10  # in a terminal
GREEN, RED, PLAIN = "\033[1;32m", "\033[1;31m", "\033[0m"


@dataclass(frozen=True)
class Explanation:
    """What each word of a text adds to the log odds of a label.

    Attributes:
        text: the text.
        label: the class that is explained.
        probability: of that class.
        spans: where each word is in the text.
        contributions: (n_words,) added to the log odds of the class; what speaks against it is negative.
        log_odds: of the class; of several, against the others' geometric mean.

    Examples:
        >>> explanation = classifier.explain("The film was great.")
        >>> explanation.label, explanation.words
        ('positive', ['The', 'film', 'was', 'great', '.'])
        >>> explanation.words[explanation.contributions.argmax()]
        'great'
    """

    text: str
    label: str
    probability: float
    spans: list[Span]
    contributions: Floats
    log_odds: float

    @property
    def words(self) -> list[str]:
        """The words, in order; in a long text, neighbours that were looked at together."""
        return [self.text[start:end] for start, end in self.spans]

    @property
    def rest(self) -> float:
        """What the log odds would be about without any of the words."""
        return self.log_odds - float(self.contributions.sum())

    def phrases(self, max_phrases: int = MAX_PHRASES) -> list[tuple[str, float]]:
        """The strongest runs of words that pull the same way, and what each adds; the strongest first."""
        runs: list[tuple[int, int, float]] = []
        previous = 0.0  # what the word just before added; 0 where it was weak
        for (start, end), added in zip(self.spans, self.contributions.tolist(), strict=True):
            strong = abs(added) >= self._least_shown
            if strong and previous * added > 0:
                first, _, total = runs.pop()
                runs.append((first, end, total + added))
            elif strong:
                runs.append((start, end, added))
            previous = added if strong else 0.0
        runs.sort(key=lambda run: -abs(run[2]))
        return [(" ".join(self.text[start:end].split()), added) for start, end, added in runs[:max_phrases]]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "label": self.label,
            "probability": self.probability,
            "log_odds": self.log_odds,
            "rest": self.rest,
            "words": [
                {"word": word, "start": start, "end": end, "contribution": float(added)}
                for word, (start, end), added in zip(self.words, self.spans, self.contributions, strict=True)
            ],
        }

    def as_text(self, *, colour: bool = False) -> str:
        """For a terminal: the text, its strong words in colours that terminals know, and the strongest phrases."""

        def paint(word: str, added: float) -> str:
            return f"{GREEN if added > 0 else RED}{word}{PLAIN}" if colour and abs(added) >= self._least_shown else word

        lines = [f"{self.label}: {100 * self.probability:.1f} % (log odds {self.log_odds:+.2f})"]
        lines.append(" ".join(self._marked(paint).split()))
        lines += [f"  {added:+.2f}  {phrase}" for phrase, added in self.phrases()]
        return "\n".join([*lines, f"  {self.rest:+.2f}  (what remains without the contributions of all words)"])

    def __str__(self) -> str:
        return self.as_text()

    def _repr_html_(self) -> str:
        """For a notebook: green speaks for the label, red against it, the stronger the more."""
        strongest = max(float(np.abs(self.contributions).max(initial=0)), 1e-12)

        def paint(word: str, added: float) -> str:
            colour = "46, 160, 67" if added > 0 else "218, 54, 51"
            style = f"background: rgba({colour}, {0.6 * abs(added) / strongest:.2f}); border-radius: 3px"
            return f'<span style="{style}" title="{added:+.2f}">{html.escape(word)}</span>'

        head = f"<b>{html.escape(self.label)}</b>: {100 * self.probability:.1f} % (log odds {self.log_odds:+.2f})"
        text = self._marked(paint, html.escape)
        return f'<div>{head}<p style="white-space: pre-wrap; line-height: 1.7">{text}</p></div>'

    def _marked(self, paint: Callable[[str, float], str], plain: Callable[[str], str] = str) -> str:
        """The text, with each word as ``paint`` shows it and what stands between them as ``plain`` does."""
        shown, done = "", 0
        for (start, end), added in zip(self.spans, self.contributions.tolist(), strict=True):
            shown += plain(self.text[done:start]) + paint(self.text[start:end], added)
            done = end
        return shown + plain(self.text[done:])

    @property
    def _least_shown(self) -> float:
        return max(STRONG * float(np.abs(self.contributions).max(initial=0)), 1e-9)


def explain(classifier: "Classifier", text: str, *, label: str | None = None) -> Explanation:
    """What each word of a text adds to the log odds of a label, in the ensemble's prediction.

    TF-IDF and topics are sums over words, so that their share is exact. ULMFiT's is what its log odds lose when an
    unknown word stands in a word's place (occlusion, Zeiler & Fergus 2014). The ensemble adds its members' log odds,
    each times its weight, and contributions likewise.

    Args:
        classifier: what predicts.
        text: the text.
        label: the class to explain; by default the one that is said, or of tags the surest.

    Raises:
        DataError: a text without a word.
        OptionError: a label that the classifier does not know.

    Examples:
        >>> explanation = explain(classifier, "The film was great.", label="positive")
        >>> explanation.words[explanation.contributions.argmax()]
        'great'
    """
    check_explained(text, label, classifier.classes)
    spans = find_spans(text)
    found = classifier.probabilities([text, *(occlude(text, spans, [place]) for place in range(len(spans)))])
    ensemble = found[ENSEMBLE]
    number = said_class(ensemble[:1], classifier.kind, classifier.rule)
    number = number if label is None else classifier.classes.index(label)
    odds = log_odds(found["ulmfit"], number, classifier.kind)
    added = classifier.blend.ulmfit * (odds[0] - odds[1:])
    for name, member in classifier.tfidf.items():
        starts, scores = member.contributions(text)
        exact = getattr(classifier.blend, name) * score_odds(scores, number, classifier.kind)
        owners = np.searchsorted([start for start, _ in spans], starts, side="right") - 1
        np.add.at(added, owners.clip(min=0), exact)
    total = float(log_odds(ensemble[:1], number, classifier.kind)[0])
    return Explanation(text, classifier.classes[number], float(ensemble[0, number]), spans, added, total)


def check_explained(text: str, label: str | None, classes: Sequence[str]) -> None:
    """Raise an error unless a text, and a label if one is given, can be explained."""
    if not isinstance(text, str):
        raise DataError(f"text: of the type {type(text).__name__}, where one text is needed")
    if not WORD.search(text):
        raise DataError("this text has no word to explain")
    if label is not None and label not in classes:
        raise OptionError(f"label {label!r}: the classifier knows {', '.join(map(repr, classes))}")


def said_class(probabilities: Floats, kind: LabelKind, rule: DecisionRule) -> int:
    """The class that is said of one text, or of tags the surest, by (1, n_classes) probabilities."""
    if kind.exclusive:
        return int(kind.decide(probabilities, rule)[0])
    return int((kind.log_odds(probabilities)[0] + np.array(rule.offsets or 0.0)).argmax())


def find_spans(text: str, max_parts: int = MAX_PARTS) -> list[Span]:
    """The words of a text, and marks between them; of a long one, as many neighbours together as make ``max_parts``.

    >>> find_spans("I don't know!")
    [(0, 1), (2, 7), (8, 12), (12, 13)]
    """
    words = [found.span() for found in WORD.finditer(text)]
    size = -(-len(words) // max_parts)
    groups = (words[i : i + size] for i in range(0, len(words), size or 1))
    return [(group[0][0], group[-1][1]) for group in groups]


def occlude(text: str, spans: Sequence[Span], places: Collection[int]) -> str:
    """The text with an unknown word in the place of each span whose number is in ``places``.

    >>> occlude("Good film", [(0, 4), (5, 9)], [0])
    'xxunk film'
    """
    parts, done = [], 0
    for turn, place in enumerate(sorted(places)):
        start, end = spans[place]
        parts += [text[done:start], "" if text[:start][-1:] in ("", " ") else " ", PLACEHOLDERS[turn % 2]]
        parts.append("" if text[end : end + 1] in ("", " ") else " ")
        done = end
    return "".join([*parts, text[done:]])


def log_odds(probabilities: Floats, number: int, kind: LabelKind) -> Floats:
    """(n,) log odds of a class; of several, against the geometric mean of the others."""
    odds = kind.log_odds(probabilities)
    return _against_others(odds, number) if kind.exclusive else np.asarray(odds[:, number])


def score_odds(scores: Floats, number: int, kind: LabelKind) -> Floats:
    """(n,) the same of a linear model's scores, (n, n_scores), or of what these are made of."""
    if not kind.exclusive:
        return np.asarray(scores[:, number])
    return _against_others(np.hstack([-scores / 2, scores / 2]) if scores.shape[1] == 1 else scores, number)


def _against_others(logs: Floats, number: int) -> Floats:
    n_classes = logs.shape[1]
    return np.asarray((n_classes * logs[:, number] - logs.sum(1)) / max(n_classes - 1, 1))
