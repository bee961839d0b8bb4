"""What a user says of labels."""

from dataclasses import dataclass


@dataclass(frozen=True)
class KindOptions:
    """What labels are, as a user says it: classes unless one of these says otherwise."""

    ratings: bool = False  # they are numbers
    label_delimiter: str | None = None  # stands between the tags of a text
