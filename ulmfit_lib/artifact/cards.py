"""Model cards: what a model has read, how long, and how good it is, for the person who finds its folder."""

from typing import Any


def language_model_card(training: dict[str, Any], direction: str, vocab_size: int) -> str:
    """A language model's README.md."""
    intro = f"An AWD-LSTM language model ({direction}, {vocab_size:,} tokens) for ulmfit_lib."
    return _card(training, "Language model", [intro])


def classifier_card(training: dict[str, Any], direction: str, classes: list[str]) -> str:
    """A classifier's README.md."""
    intro = [f"A ULMFiT text classifier ({direction}) for ulmfit_lib. Classes: {', '.join(classes)}."]
    if report := training.get("report"):
        intro += ["", report["sentence"]]
    return _card(training, "Text classifier", intro)


def _card(training: dict[str, Any], title: str, intro: list[str]) -> str:
    lines = [f"# {training.get('name', title)}", "", *intro]
    if licence := training.get("licence"):
        lines += ["", f"Licence: {licence}."]
    for stage in training.get("stages", []):
        lines += ["", f"## {stage['stage']}", ""]
        lines += [f"- {key.replace('_', ' ')}: {_shown(value)}" for key, value in stage.items() if _worth(key, value)]
    return "\n".join(lines) + "\n"


def _worth(key: str, value: Any) -> bool:
    return key not in ("stage", "history") and value not in (None, "", {}, [])


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(inner)}" for key, inner in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
