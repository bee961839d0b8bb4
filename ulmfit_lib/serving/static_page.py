"""A static classifier as one page of HTML, which classifies in a browser without a network."""

import base64
import json
from pathlib import Path

import numpy as np

from ulmfit_lib.errors import OptionError
from ulmfit_lib.files import write_file
from ulmfit_lib.labels.ratings import Ratings
from ulmfit_lib.serving.static_classifier import StaticClassifier

TEMPLATE = Path(__file__).parent / "static_page.html"
LARGEST = 127  # of a byte


def check_page_name(path: Path) -> None:
    """Refuse a name that no browser would open; raises OptionError."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise OptionError(f"{path}: a page of HTML ends in .html")


def write_page(classifier: StaticClassifier, path: Path) -> None:
    """Write the page, whole or not at all. It gives the classifier's probabilities, and asks for nothing.

    The classifier's scores were rounded to bytes, as they are when it is saved.
    """
    scores, kind, rule = classifier.scores, classifier.kind, classifier.rule
    scale = (np.maximum(np.abs(scores).max(1), np.float32(1e-12)) / np.float32(LARGEST)).astype("<f4")
    model = {
        "classes": classifier.classes,
        "exclusive": kind.exclusive,
        "values": list(kind.values) if isinstance(kind, Ratings) else None,
        "cuts": list(rule.cuts or kind.nearest_cuts()) if isinstance(kind, Ratings) and kind.exact else None,
        "offsets": list(rule.offsets),
        "at_least_one": rule.at_least_one,
        "intercepts": classifier.intercepts.tolist(),
        "terms": classifier.terms,
        "scales": base64.b64encode(scale.tobytes()).decode("ascii"),
        "numbers": base64.b64encode(np.round(scores / scale[:, None]).astype(np.int8).tobytes()).decode("ascii"),
    }
    safe = json.dumps(model, ensure_ascii=True).replace("<", "\\u003c")  # else a term could end the script
    write_file(path, TEMPLATE.read_text(encoding="utf-8").replace("{model}", safe).encode())
