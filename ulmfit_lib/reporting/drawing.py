"""Figures as inline SVG, in the page's own fonts and in its colours for light and dark."""

import re
import warnings
from io import StringIO

import matplotlib.pyplot as plt
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ulmfit_lib.evaluation.figure_style import COLOURS, EDGES, GREY, INK, RULES

COLOUR_NAMES = ("blue", "orange", "green", "purple", "gold", "blue-soft", "ink")  # of report.css
THEME = {**dict(zip(COLOURS, COLOUR_NAMES, strict=True)), GREY: "grey", INK: "soft", EDGES: "soft", RULES: "line"}
SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "report"}  # text stays text, and ids are the same each time
STYLE = re.compile(r'style="[^"]*"')


def as_svg(axes: Axes) -> Markup:
    """An axis's figure, which is closed; its title becomes what a screen reader says."""
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    title = axes.get_title(loc="left")
    axes.set_title("", loc="left")
    drawn = StringIO()
    with plt.rc_context(SETTINGS), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that matplotlib's own font lacks: the reader's fonts have them
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    plt.close(figure)
    content = drawn.getvalue().partition("</style>")[2].partition("</defs>")[2]  # without a header and its own style
    content = STYLE.sub(_themed, re.sub(r'<g id="[^"]*"', "<g", content))
    width, height = 72 * figure.get_size_inches()
    start = Markup('<svg class="chart" viewBox="0 0 {:.0f} {:.0f}" role="img"><title>{}</title>')
    return start.format(width, height, title) + Markup(content)


def _themed(style: re.Match[str]) -> str:
    """A style in the page's colours and font."""

    def colour(found: re.Match[str]) -> str:
        return f"var(--{THEME[found[0]]})" if found[0] in THEME else found[0]

    return re.sub(r"#[0-9a-f]{6}", colour, re.sub(r"font-family: [^;\"]*;", "", style[0]))
