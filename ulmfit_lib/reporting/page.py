"""From a classifier and what it is scored on to one HTML page that needs nothing else."""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ulmfit_lib.artifact.format import package_versions
from ulmfit_lib.artifact.report import ENSEMBLE, Report
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import OptionError
from ulmfit_lib.files import new_file
from ulmfit_lib.insight.diagnosis import diagnose_model
from ulmfit_lib.insight.findings import Diagnosis
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.known_texts import KnownTexts
from ulmfit_lib.pipeline.label_budget import LabelBudget
from ulmfit_lib.pipeline.report import NAMES
from ulmfit_lib.reporting import figures
from ulmfit_lib.reporting.charts import SHAPES, shape_key, text_map
from ulmfit_lib.reporting.scored import Scored, find_scores
from ulmfit_lib.reporting.texts import FEWEST_MAPPED, MOST_MAPPED, find_copies, find_shown, map_places
from ulmfit_lib.reporting.verdict import class_rows, find_verdict, worst_confusion
from ulmfit_lib.tokens.documents import encode_texts

FOLDER = Path(__file__).parent
MOST_IN_CONFUSION = 20  # classes; a larger table would tell nothing at a glance
ENDINGS = (".html", ".htm")


def check_report_name(path: Path) -> None:
    """Say early if a report could not be saved under this name.

    Raises:
        OptionError: it has another ending.
    """
    if path.suffix not in ENDINGS:
        raise OptionError(f"{path}: a report's name must end in .html")


def write_report(
    classifier: TextClassifier,
    out: Path,
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
        data: a test file, or the file that the classifier was made from: then each row is shown with what was said of
            it by classifiers that had not learnt its label.
        texts: off, no text stands on the page.
        budget: what more labels should bring (``pipeline.label_budget``).
        seed: of what is drawn, and of the map.
        device: where to compute.

    Raises:
        OptionError: there are neither labelled rows nor a record of scores; or another ending.
        DataError: no row has a label that the classifier knows.

    Examples:
        >>> write_report(classifier, Path("report.html"))
        >>> Path("report.html").stat().st_size > 10_000
        True
    """
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
    data = data.with_kind(classifier.kind) if data is not None else None
    scored = find_scores(classifier, data, device=device)
    report, exclusive = scored.report, classifier.kind.exclusive
    table, shown, mapped = scored.table, None, None
    if table is not None:
        vectors = np.asarray(classifier.to(device).embed(table.texts), np.float64)
        mapped = _map(classifier, scored, vectors, seed)
        shown = find_shown(classifier, scored, vectors) if texts else None
    certainty, record = report.certainty, classifier.training
    return (
        _environment()
        .get_template("report.html")
        .render(
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
            confusion=_confusion(report) if exclusive else None,
            reliability=figures.reliability_chart(report.ensemble.reliability),
            coverage=figures.coverage_chart(certainty) if certainty and certainty.rows[-1] > 1 else None,
            texts=texts,
            shown=shown,
            map=mapped,
            copies=find_copies(table, texts) if table is not None else None,
            data=_describe(classifier, data, scored) if data is not None else None,
            diagnosis=_diagnose(classifier),
            curves=figures.history_charts(record.stages),
            budget=budget,
            budget_chart=figures.budget_chart(budget) if budget else None,
            record=record,
            stage_names=figures.STAGES,
            blend=classifier.blend.weights,
            part_names=NAMES,
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
    return found


def duration(seconds: float) -> str:
    """A time for people.

    >>> duration(42), duration(600), duration(14799)
    ('42 seconds', '10 minutes', '4.1 hours')
    """
    if seconds < 120:
        return f"{seconds:.0f} second{'' if round(seconds) == 1 else 's'}"
    return f"{seconds / 60:.3g} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def _name(classifier: TextClassifier) -> str:
    """The file that it was made from, without its folder."""
    source = classifier.training.last.source or "a text classifier"
    return " and ".join(Path(one).name for one in source.split(" and "))


def _kind(classifier: TextClassifier) -> str:
    if not classifier.kind.exclusive:
        return "any number of labels a text"
    return "one class a text" if classifier.kind.one_class_per_text else "a rating a text"


@dataclass(frozen=True)
class Cell:
    """How many rows of one class were taken for another, and which share of the class that is."""

    rows: int
    share: float


def _confusion(report: Report) -> list[list[Cell]] | None:
    counts = np.array(report.ensemble.confusion)
    if len(counts) > MOST_IN_CONFUSION:
        return None
    shares = counts / counts.sum(1, keepdims=True).clip(min=1)
    return [
        [Cell(n, share) for n, share in zip(*pair, strict=True)]
        for pair in zip(counts.tolist(), shares.tolist(), strict=True)
    ]


def _map(
    classifier: TextClassifier, scored: Scored, vectors: Any, seed: int
) -> tuple[Markup, list[tuple[Markup, str]], int] | None:
    """The map of the texts, its legend, and how many texts are on it."""
    assert scored.table is not None and scored.targets is not None
    if len(vectors) < FEWEST_MAPPED:
        return None
    chosen = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:MOST_MAPPED])
    kind, targets = classifier.kind, scored.targets[chosen]
    said = scored.probabilities[ENSEMBLE][chosen]
    firsts = targets if targets.ndim == 1 else targets.argmax(1)
    wrong = kind.decisions(said).argmax(1) != kind.decided(targets)
    wrong = wrong.reshape(len(chosen), -1).any(1)
    order = [number for number, _ in Counter(firsts.tolist()).most_common()]
    place = {number: i for i, number in enumerate(order)}
    legend = [(shape_key(i), classifier.classes[number]) for i, number in enumerate(order[:SHAPES])]
    if len(order) > SHAPES:
        legend[-1] = shape_key(SHAPES - 1), "all other classes"
    points = map_places(vectors[chosen], seed).tolist()
    drawn = text_map("Map of the texts", points, [place[number] for number in firsts.tolist()], wrong.tolist())
    return drawn, legend, len(chosen)


def _describe(classifier: TextClassifier, data: TextTable, scored: Scored) -> dict[str, Any]:
    """Amounts, lengths, unknown words and label balance of a file."""
    words = [len(text.split()) for text in data.texts]
    counts = data.labelled().label_counts.most_common()
    documents = encode_texts(data.texts, classifier.tokenizer, classifier.vocabulary)
    unknown = documents.counts(len(classifier.vocabulary))[classifier.vocabulary.unknown_id]
    return {
        "source": Path(data.source).name,
        "texts": len(data),
        "labelled": len(data.labelled()),
        "skipped": data.skipped,
        "unknown": float(unknown) / max(documents.n_tokens - len(data), 1),
        "words": [float(q) for q in np.percentile(words, (5, 50, 95))],
        "longest": max(words),
        "known": _known_words(classifier) if not scored.folds else None,
        "lengths": figures.length_chart(words),
        "labels": counts,
        "most": counts[0][1] if counts else 1,
    }


def _known_words(classifier: TextClassifier) -> float | None:
    """Of half of the texts that the classifier was made from, the most words; None where its folder does not say."""
    if classifier.training.known_texts is None:
        return None
    return float(np.median(KnownTexts.from_record(classifier.training).words))


def _diagnose(classifier: TextClassifier) -> Diagnosis | None:
    return diagnose_model(classifier) if classifier.training.report else None
