"""Dropout probabilities of an AWD-LSTM."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Dropouts:
    """Dropout probabilities of an AWD-LSTM, by place (Merity et al. 2018, section 4).

    Examples:
        >>> Dropouts(input=0.25, hidden=0.15).hidden
        0.15
    """

    output: float = 0.0
    input: float = 0.0
    weight: float = 0.0
    embedding: float = 0.0
    hidden: float = 0.0
