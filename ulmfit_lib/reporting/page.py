"""From a classifier and what it is scored on to one HTML page that needs nothing else."""

import re
import warnings
from datetime import date
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ulmfit_lib.arrays import Floats
from ulmfit_lib.artifact.format import package_versions
from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.data.table import TextTable, check_table
from ulmfit_lib.errors import OptionError
from ulmfit_lib.evaluation.figure_style import COLOURS, EDGES, GREY, INK, RULES
from ulmfit_lib.evaluation.plots import (
    plot_coverage,
    plot_history,
    plot_learning_curve,
    plot_lengths,
    plot_map,
    plot_reliability,
)
from ulmfit_lib.files import new_file
from ulmfit_lib.insight.diagnosis import diagnose_model
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.known_texts import KnownTexts, unknown_share
from ulmfit_lib.pipeline.label_budget import LabelBudget
from ulmfit_lib.pipeline.report import NAMES
from ulmfit_lib.reporting.scored import Scored, find_scores
from ulmfit_lib.reporting.texts import FEWEST_MAPPED, MOST_MAPPED, find_copies, find_shown, map_places
from ulmfit_lib.reporting.verdict import class_rows, find_verdict, worst_confusion

FOLDER = Path(__file__).parent
MOST_IN_CONFUSION = 20  # classes; a larger table would tell nothing at a glance
ENDINGS = (".html", ".htm")
STAGES = {
    "pretrain": "Base: pretraining",
    "teach": "Base: distillation from a sentence transformer",
    "distill": "Base: distillation from a sentence transformer",
    "fine-tune": "Language model: fine-tuning on your texts",
    "contrast": "Words in context: contrastive learning from your labels",
    "classify": "Classifier: training on your labels",
}
COLOUR_NAMES = ("blue", "orange", "green", "purple", "gold", "blue-soft", "ink")  # of report.css
THEME = {**dict(zip(COLOURS, COLOUR_NAMES, strict=True)), GREY: "grey", INK: "soft", EDGES: "soft", RULES: "line"}
SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "report"}  # text stays text, and ids are the same each time
STYLE = re.compile(r'style="[^"]*"')


def check_report_name(path: Path) -> None:
    """Say early, as an OptionError, if a report could not be saved under this name."""
    if path.suffix not in ENDINGS:
        raise OptionError(f"{path}: a report's name must end in .html")


def write_report(
    classifier: TextClassifier,
    out: str | Path,
    *,
    data: TextTable | None = None,
    texts: bool = True,
    budget: LabelBudget | None = None,
    seed: int = 42,
    device: str = "cpu",
) -> None:
    """Write a page that says what a classifier is worth, on what it was tried, and how it was made.

    Args:
        classifier: what the report is about.
        out: the file, ``.html``.
        data: a test file, or the file that the classifier was trained on: then each row is shown with its out-of-fold
            prediction.
        texts: off, no text stands on the page.
        budget: what more labels should bring (``pipeline.label_budget``).
        seed: of the texts that are drawn, and of the map.
        device: where to compute.

    Raises:
        OptionError: there are neither labelled rows nor a record of scores; or another ending.
        DataError: no row has a label that the classifier knows.

    Examples:
        >>> write_report(classifier, Path("report.html"))
        >>> Path("report.html").stat().st_size > 10_000
        True
    """
    out = Path(out)
    check_report_name(out)
    html = render_report(classifier, data=data, texts=texts, budget=budget, seed=seed, device=device)
    with new_file(out) as temporary:
        temporary.write_text(html, encoding="utf-8")


def render_report(
    classifier: TextClassifier,
    *,
    data: TextTable | None = None,
    texts: bool = True,
    budget: LabelBudget | None = None,
    seed: int = 42,
    device: str = "cpu",
) -> str:
    """The page that ``write_report`` writes."""
    if data is not None:
        check_table(data)
        data = data.with_kind(classifier.kind)
    scored = find_scores(classifier, data, device=device)
    report = scored.report
    page: dict[str, Any] = {"shown": None, "map": None, "copies": None, "data": None, "diagnosis": None}
    if scored.table is not None:
        vectors = np.asarray(classifier.to(device).embed(scored.table.texts), np.float64)
        page["map"] = _map(classifier, scored, vectors, seed)
        page["shown"] = find_shown(classifier, scored, vectors) if texts else None
        page["copies"] = find_copies(scored.table, texts)
    if data is not None:
        page["data"] = _describe(classifier, data, in_folds=scored.folds > 0)
    if classifier.training.report:
        page["diagnosis"] = diagnose_model(classifier)
    certainty = report.certainty
    return (
        _environment()
        .get_template("report.html")
        .render(
            **page,
            style=Markup((FOLDER / "report.css").read_text(encoding="utf-8")),
            name=_name(classifier),
            today=date.today().isoformat(),
            kind=_kind(classifier),
            classes=classifier.classes,
            scored=scored,
            verdict=find_verdict(scored, classifier.kind),
            report=report,
            rows=class_rows(scored, classifier.classes),
            worst=worst_confusion(scored),
            confusion=classifier.kind.exclusive and len(classifier.classes) <= MOST_IN_CONFUSION,
            reliability=as_svg(plot_reliability(report.ensemble.reliability)),
            coverage=as_svg(plot_coverage(certainty)) if certainty and certainty.rows[-1] > 1 else None,
            texts=texts,
            curves=_curves(classifier.training),
            budget=budget,
            budget_figure=as_svg(plot_learning_curve(budget.curve, budget.labels)) if budget else None,
            record=classifier.training,
            stage_names=STAGES,
            blend={name: classifier.blend.weights[name] for name in ("ulmfit", *classifier.tfidf)},
            part_names=NAMES,
            most_mapped=MOST_MAPPED,
            most_in_confusion=MOST_IN_CONFUSION,
            versions=package_versions(),
        )
    )


@cache
def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["percent"] = lambda share: f"{100 * share:.1f}\xa0%"
    found.filters["duration"] = duration
    found.filters["file_names"] = file_names
    return found


def duration(seconds: float) -> str:
    """A time for people.

    >>> duration(42), duration(600), duration(14799)
    ('42 seconds', '10 minutes', '4.1 hours')
    """
    if seconds < 120:
        return f"{seconds:.0f} second{'' if round(seconds) == 1 else 's'}"
    return f"{round(seconds / 60, 1):g} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def _name(classifier: TextClassifier) -> str:
    """The file that it was made from, without its folder."""
    return file_names(classifier.training.last.source or "a text classifier")


def file_names(source: str) -> str:
    """Where texts are from, without folders, which are nobody's concern who gets the report.

    >>> file_names("/home/ada/reviews.csv and corrected.csv")
    'reviews.csv and corrected.csv'
    """
    return " and ".join(Path(one).name for one in source.split(" and "))


def _kind(classifier: TextClassifier) -> str:
    if not classifier.kind.exclusive:
        return "any number of labels a text"
    return "one class a text" if classifier.kind.one_class_per_text else "a rating a text"


def _curves(record: TrainingRecord) -> list[tuple[str, Markup]]:
    """What each stage of several epochs was, and its losses."""
    several = [any(len(rows) > 1 for rows in stage.history.values()) for stage in record.stages]
    return [
        (STAGES.get(stage.name, stage.name), as_svg(plot_history(record, place)))
        for place, stage in enumerate(record.stages)
        if several[place]
    ]


def _map(classifier: TextClassifier, scored: Scored, vectors: Floats, seed: int) -> Markup | None:
    """The map of the scored texts, or of some of them; None of too few."""
    assert scored.targets is not None
    if len(vectors) < FEWEST_MAPPED:
        return None
    chosen = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:MOST_MAPPED])
    kind, targets = classifier.kind, scored.targets[chosen]
    firsts = targets if targets.ndim == 1 else targets.argmax(1)
    wrong = kind.decided(classifier.decide(scored.probabilities[ENSEMBLE][chosen])) != kind.decided(targets)
    places = map_places(vectors[chosen], seed)
    return as_svg(plot_map(places, [classifier.classes[one] for one in firsts], wrong.reshape(len(chosen), -1).any(1)))


def _describe(classifier: TextClassifier, data: TextTable, *, in_folds: bool) -> dict[str, Any]:
    """Amounts, lengths, unknown words and label balance of a file."""
    words = [len(text.split()) for text in data.texts]
    counts = data.labelled().label_counts.most_common()
    known = None
    if not in_folds and classifier.training.known_texts is not None:
        known = float(np.median(KnownTexts.from_record(classifier.training).words))
    return {
        "source": Path(data.source).name,
        "texts": len(data),
        "labelled": len(data.labelled()),
        "skipped": data.skipped,
        "unknown": unknown_share(classifier, data.texts),
        "median": float(np.median(words)),
        "long": float(np.percentile(words, 95)),
        "longest": max(words),
        "known": known,
        "lengths": as_svg(plot_lengths(words)),
        "labels": counts,
    }


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
