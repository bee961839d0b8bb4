"""Model cards: what a model has read, how long, and how good it is, for the person who finds its folder."""

from dataclasses import dataclass
from typing import Any

from ulmfit_lib.artifact.record import TrainingRecord


@dataclass(frozen=True)
class Card:
    """What the card of a language model says of where it comes from.

    Attributes:
        name: what the model is called.
        source: where the texts are from.
        licence: under which the model may be used.

    Examples:
        >>> Card("reviews-lm", source="reviews.csv", licence="MIT").name
        'reviews-lm'
    """

    name: str = ""
    source: str = ""
    licence: str = ""


def language_model_card(training: TrainingRecord, direction: str, vocab_size: int) -> str:
    """A language model's README.md."""
    intro = f"An AWD-LSTM language model ({direction}, {vocab_size:,} tokens) for ulmfit_lib."
    return _card(training, "Language model", [intro])


def classifier_card(training: TrainingRecord, direction: str, classes: list[str]) -> str:
    """A classifier's README.md."""
    intro = [f"A ULMFiT text classifier ({direction}) for ulmfit_lib. Classes: {', '.join(classes)}."]
    if training.report:
        intro += ["", training.report.sentence]
    return _card(training, "Text classifier", intro)


def _card(training: TrainingRecord, title: str, intro: list[str]) -> str:
    lines = [f"# {training.name or title}", "", *intro]
    if training.licence:
        lines += ["", f"Licence: {training.licence}."]
    for stage in training.stages:
        lines += ["", f"## {stage.name}", ""]
        shown = {key.replace("_", " "): value for key, value in stage.as_json().items() if _worth(key, value)}
        lines += [f"- {key}: {_shown(value)}" for key, value in shown.items()]
    return "\n".join(lines) + "\n"


def _worth(key: str, value: Any) -> bool:
    return key not in ("stage", "history") and value not in (None, "", {}, [])


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(inner)}" for key, inner in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
