"""What is wrong, what it means and the one thing to do next."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

# The worst first: what comes earlier explains, or hides, what comes later.
WRONG_COLUMN, ENCODING, LANGUAGE, LEAK, COPIES = "wrong column", "encoding", "language", "leak", "copies"
FEW_LABELS, LABELS_SAY_NOTHING, ALIKE, NOISE, RARE = (
    "few labels",
    "labels say nothing",
    "classes alike",
    "label noise",
    "rare class",
)
NO_GAIN_BY_READING, NO_BETTER_THAN_TFIDF, OVERFITTING = "reading", "no better than TF-IDF", "overfitting"
ORDER = (
    WRONG_COLUMN,
    ENCODING,
    LANGUAGE,
    LEAK,
    COPIES,
    FEW_LABELS,
    LABELS_SAY_NOTHING,
    ALIKE,
    NOISE,
    RARE,
    NO_GAIN_BY_READING,
    OVERFITTING,
    NO_BETTER_THAN_TFIDF,
)
DATA, BASE, LANGUAGE_MODEL, CLASSIFIER = "data", "base", "language model", "classifier"  # stages that may be at fault


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        cause: one of ``ORDER``.
        stage: at fault: ``data``, ``base``, ``language model``, ``classifier``.
        what: was found, a sentence.
        do: next, a sentence.
    """

    cause: str
    stage: str
    what: str
    do: str


@dataclass(frozen=True)
class Diagnosis:
    """All that was found, and facts that are as they should be.

    Attributes:
        findings: the cause that comes first explains the most.
        facts: sentences on what was looked at.
    """

    findings: list[Finding]
    facts: list[str]

    @classmethod
    def of(cls, findings: Iterable[Finding | None], facts: Iterable[str]) -> "Diagnosis":
        """Sorted; what is None was not found."""
        real = sorted((one for one in findings if one), key=lambda one: ORDER.index(one.cause))
        return cls(real, [fact for fact in facts if fact])

    @property
    def cause(self) -> str | None:
        """What is at fault; None if nothing was found."""
        return self.findings[0].cause if self.findings else None

    def sentences(self) -> list[str]:
        """For people."""
        told = [f"- {fact}" for fact in self.facts]
        if not self.findings:
            return [*told, "Nothing is wrong that these checks can see."]
        first, *others = self.findings
        told.append(f"At fault is the {first.stage} ({first.cause}): {first.what} What to do next: {first.do}")
        return [*told, *(f"Also ({one.cause}): {one.what} {one.do}" for one in others)]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"cause": self.cause, "findings": [asdict(one) for one in self.findings], "facts": self.facts}
