"""A classifier's ``config.json`` -> its kind of label."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.labels.ratings import Ratings
from ulmfit_lib.labels.tags import Tags


def kind_from_config(config: Mapping[str, Any], file: Path) -> tuple[LabelKind, list[str]]:
    """The kind of label and the names of the classes that the ``config.json`` of a classifier holds.

    An ArtifactError names the entry that does not fit.
    """
    delimiter, values, classes = (config.get(name) for name in ("label_delimiter", "values", "classes"))
    if not (delimiter is None or (isinstance(delimiter, str) and (delimiter.strip() or delimiter == " "))):
        raise ArtifactError(f"{file}: label_delimiter {delimiter!r}: a string that is not blank is needed")
    kind: LabelKind = Classes() if delimiter is None else Tags(delimiter)
    fewest = kind.fewest_classes
    if not (isinstance(classes, list) and len(set(map(str, classes))) == len(classes) >= fewest):
        raise ArtifactError(f"{file}: classes {classes!r}: {fewest} or more different names are needed")
    if not all(isinstance(name, str) for name in classes):
        raise ArtifactError(f"{file}: the classes must be strings")
    if values is None:
        return kind, classes
    if not (isinstance(values, list) and len(values) == len(classes) and all(map(is_number, values))):
        raise ArtifactError(f"{file}: values {values!r}: one number per class is needed")
    return Ratings(tuple(map(float, values)), config.get("exact") is True), classes


def kind_of(ratings: bool, label_delimiter: str | None) -> LabelKind:
    """The kind of label that the options of ``read_table`` ask for; an OptionError for two kinds at once."""
    if ratings and label_delimiter is not None:
        raise OptionError("ratings and a label delimiter: a label is a number or several names, not both")
    return Ratings() if ratings else Classes() if label_delimiter is None else Tags(label_delimiter)


def is_number(value: Any) -> bool:
    """Whether a value from JSON is a finite number."""
    return type(value) in (int, float) and -math.inf < value < math.inf
