"""Whether one classifier is better than another: McNemar's test on the decisions that only one of them has right."""

from dataclasses import dataclass

from ulmfit_lib.arrays import Bools
from ulmfit_lib.progress import counted

SIGNIFICANT = 0.05  # chance below which a difference counts as one


@dataclass(frozen=True)
class McNemar:
    """Two classifiers on the same decisions (McNemar 1947)."""

    ahead: int  # decisions that only the first one has right
    behind: int  # that only the second one has right
    p_value: float  # how likely a difference as large as this is by chance (exact binomial test)

    @classmethod
    def of(cls, first: Bools, second: Bools) -> "McNemar":
        """From which decisions each has right, (n,) each."""
        from scipy.stats import binomtest

        ahead, behind = int((first & ~second).sum()), int((~first & second).sum())
        chance = binomtest(min(ahead, behind), ahead + behind).pvalue if ahead + behind else 1.0
        return cls(ahead, behind, float(chance))

    def sentence(self, first: str, second: str) -> str:
        """For people, without a full stop.

        >>> McNemar(9, 1, 0.02).sentence("The ensemble", "the baseline")
        "The ensemble beats the baseline by 8 rows (McNemar's test: p = 0.02)"
        """
        if self.ahead == self.behind:
            return f"{first} ties with {second}, which is the simpler choice"
        by = counted(abs(self.ahead - self.behind), "row")
        doubt = "" if self.p_value < SIGNIFICANT else "; a difference this small may be chance"
        beats = "beats" if self.ahead > self.behind else "loses to"
        return f"{first} {beats} {second} by {by} (McNemar's test: p = {self.p_value:.2g}{doubt})"
