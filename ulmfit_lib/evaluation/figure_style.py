"""What all figures have in common: colours, style, titles, and how they are saved."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ulmfit_lib.errors import OptionError
from ulmfit_lib.files import new_file

FORMATS = (".png", ".svg", ".pdf")
# Okabe and Ito's colours, which people with any kind of colour vision tell apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
BLUE = COLOURS[0]
ORANGE = COLOURS[1]
GREY = "#767676"
INK = "#444444"
EDGES = "#999999"
RULES = "#e6e6e6"
MARKERS = "o^sDvP*"
STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": EDGES,
    "grid.color": RULES,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.color": INK,
    "ytick.color": INK,
}
DPI = 110


def check_plot_name(path: Path) -> None:
    """Say early, as an OptionError, if a plot could not be saved under this name."""
    if path.suffix not in FORMATS:
        raise OptionError(f"{path}: a plot's name must end in one of {', '.join(FORMATS)}")


def save_plot(axes: Axes, path: Path) -> None:
    """Write the figure to a file, whole or not at all, and close it."""
    import matplotlib.pyplot as plt

    with new_file(path) as temporary:
        figure = axes.get_figure()
        assert isinstance(figure, Figure)
        figure.savefig(temporary, format=path.suffix[1:], dpi=150)
    plt.close(figure)


def make_axes(axes: Axes | None, *, size: tuple[float, float] = (6, 3.7)) -> Axes:
    """The axis that is given, or else one in a new figure of ``size`` inches, in the style of all figures."""
    if axes is not None:
        return axes
    import matplotlib.pyplot as plt
    from cycler import cycler

    # Outside the context, which would undo that a notebook's first figure makes pyplot show all later ones.
    figure = plt.figure(figsize=size, dpi=DPI, layout="constrained")
    with plt.rc_context({**STYLE, "axes.prop_cycle": cycler(color=COLOURS)}):
        return figure.add_subplot()


def titled(axes: Axes, title: str) -> Axes:
    """The same axis with what it shows above it."""
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", pad=10)
    return axes


def shortened(name: str, most: int = 30) -> str:
    """A name as it stands in a figure: not too long, and a dollar sign does not begin a formula."""
    name = name if len(name) <= most else f"{name[: most - 1]}…"
    return name.replace("$", r"\$")
