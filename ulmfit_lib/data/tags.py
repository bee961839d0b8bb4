"""Labels of which a text has several, or none: tags."""

import numpy as np
import numpy.typing as npt


def split_tags(label: str, delimiter: str) -> list[str]:
    """The distinct tags of a label, sorted; one of delimiters alone has none."""
    return sorted({tag.strip() for tag in label.split(delimiter)} - {""})


def as_decisions(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(n, n_tags) chances of the tags -> (n * n_tags, 2): of no and yes, a decision per row and tag."""
    yes = probabilities.reshape(-1)
    return np.stack([1 - yes, yes], axis=1)
