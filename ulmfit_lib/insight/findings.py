"""What is wrong, what it means and the one thing to do next."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

CAUSES = (  # the gravest first: what comes earlier explains, or hides, what comes later
    WRONG_COLUMN := "wrong column",
    ENCODING := "encoding",
    LANGUAGE := "language",
    LEAK := "leak",
    COPIES := "copies",
    FEW_LABELS := "few labels",
    LABELS_SAY_NOTHING := "labels say nothing",
    ALIKE := "classes alike",
    NOISE := "label noise",
    RARE := "rare class",
    NO_GAIN_BY_READING := "reading",
    OVERFITTING := "overfitting",
    NO_BETTER_THAN_TFIDF := "no better than TF-IDF",
)
DATA, BASE, LANGUAGE_MODEL, CLASSIFIER = "data", "base", "language model", "classifier"  # stages that may be at fault


@dataclass(frozen=True)
class Finding:
    """Something that is wrong."""

    cause: str  # one of `CAUSES`
    stage: str  # at fault: `data`, `base`, `language model`, `classifier`
    what: str  # was found, a sentence
    do: str  # next, a sentence


@dataclass(frozen=True)
class Diagnosis:
    """All that was found, and facts that are as they should be."""

    findings: list[Finding]  # the cause that comes first explains the most
    facts: list[str]  # sentences on what was looked at

    @classmethod
    def of(cls, findings: Iterable[Finding | None], facts: Iterable[str]) -> "Diagnosis":
        """Sorted; what is None was not found."""
        real = sorted((one for one in findings if one), key=lambda one: CAUSES.index(one.cause))
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
