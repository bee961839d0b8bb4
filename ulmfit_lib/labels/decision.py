"""Which label is said of a text, given the probabilities: learnt apart from these, for a goal."""

from dataclasses import dataclass

BALANCE, ACCURACY, MACRO_F1, RECALL, COST = "auto", "accuracy", "macro-f1", "balanced", "cost"
GOALS = {
    BALANCE: "macro F1, as long as that costs little accuracy",
    ACCURACY: "accuracy",
    MACRO_F1: "macro F1",
    RECALL: "the mean recall of the classes",
    COST: "the least cost of mistakes",
}


@dataclass(frozen=True)
class DecisionRule:
    """What is added to the log probability of each class before the highest is said; of tags, to their log odds.

    >>> DecisionRule(offsets=(0.0, 1.0)).goal
    'accuracy'

    Attributes:
        goal: that it was chosen for, one of ``GOALS``.
        offsets: (n_classes,); empty: the likeliest class is said, and each tag from a probability of 0.5 on.
        at_least_one: a text is given its likeliest tag, however unlikely that is: for tags of which every text has one.
        stable: share of labels, in [0, 1], that stayed the same where the rule was learnt again from rows drawn at
            random among the same ones, on average; None where nothing was learnt.
        cuts: (n_classes - 1,) of ratings: the expected ratings from which on the next higher number is said; empty: the
            nearest number is said.
    """

    goal: str = ACCURACY
    offsets: tuple[float, ...] = ()
    at_least_one: bool = False
    stable: float | None = None
    cuts: tuple[float, ...] = ()

    @property
    def says_likeliest(self) -> bool:
        """Whether it changes nothing."""
        return not (self.offsets or self.cuts or self.at_least_one)


LIKELIEST = DecisionRule()
