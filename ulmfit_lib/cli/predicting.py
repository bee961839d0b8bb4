"""The command predict: a text, lines, or the rows of a file, here or on an engine."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from ulmfit_lib.cli.options import Compute, FileFormat, Known, NoveltyBase, Text
from ulmfit_lib.cli.parsing import Argument, Option
from ulmfit_lib.cli.running import command, find_folder, load_classifier, read_table
from ulmfit_lib.cli.sureness import Sureness
from ulmfit_lib.errors import OptionError
from ulmfit_lib.progress import counted, note
from ulmfit_lib.rows.kinds import COMPRESSED, TABLES

if TYPE_CHECKING:
    from ulmfit_lib.evaluation.certainty import Precision
    from ulmfit_lib.rows.batch import Rows

ENGINE = "Scoring on an engine"
ENDINGS = (*TABLES, *COMPRESSED)


@dataclass(frozen=True)
class Engine:
    """Where rows are scored: in this process unless one is named."""

    engine: Annotated[
        Literal["ray"] | None,
        Option(
            help="Score a file, or a folder of files, on the cluster that RAY_ADDRESS names, else on all cores of this "
            "machine.",
            section=ENGINE,
        ),
    ] = None
    workers: Annotated[
        int | None, Option(min=1, help="Processes that score; by default as many as have cores.", section=ENGINE)
    ] = None
    cores: Annotated[int, Option(min=1, help="Cores that each process reserves and uses.", section=ENGINE)] = 1


def predict_on_engine(
    engine: Engine,
    model: Path,
    data: str | None,
    out: Path | None,
    *,
    text: list[str],
    file: FileFormat,
    min_precision: "Precision | None",
) -> None:
    """Score files into a folder, and say how many rows there were."""
    if not text or data is None or out is None:
        raise OptionError("--engine needs a file, or a folder of files, with --text, and a folder to write, with --out")
    from ulmfit_lib.engines.ray_files import predict_files_on_ray

    done = predict_files_on_ray(
        find_folder(model),
        Path(data),
        out,
        text=text,
        file=file,
        min_precision=min_precision,
        workers=engine.workers,
        cores=engine.cores,
    )
    earlier = f"; {counted(done.before, 'row')} had been scored before" if done.before else ""
    note(f"{out}: {counted(done.rows, 'row')} scored{earlier}")
    if done.unsure:
        note(f"{counted(done.unsure, 'row')} labelled unsure")
    if done.blank:
        note(f"{data}: no prediction for {counted(done.blank, 'row')} without a text")


@dataclass(frozen=True)
class Novelty:
    """Whether to say how new texts are, and beside which."""

    novelty: Annotated[
        bool, Option("--novelty", help="Add how surprising each text is beside those that the model was made from.")
    ] = False
    known: Known = None
    base: NoveltyBase = "auto"


@dataclass(frozen=True)
class Input:
    """What is labelled: a text, the rows of a file, or lines on standard input."""

    file: FileFormat
    data: Annotated[
        str | None, Argument(help="A file as for `fit`, or a text in quotes; by default lines on standard input.")
    ] = None
    text: Text = field(default_factory=list)


@command("predict", example="predict models/reviews examples/tiny-test.csv --text review --out predictions.csv")
def predict(
    model: Annotated[
        Path, Argument(help="Folder of a classifier, or of an exported one; or `hf:user/name` for one on the hub.")
    ],
    source: Input,
    out: Annotated[
        Path | None,
        Option(
            help="File to write (.csv, .tsv, .jsonl, .parquet), or with --engine a folder; by default CSV on stdout."
        ),
    ] = None,
    *,
    sureness: Sureness,
    novelty: Novelty,
    engine: Engine,
    compute: Compute,
) -> None:
    """Label a text, or every row of a file: adds the prediction, its confidence and each class's probability."""
    data, text, file = source.data, source.text, source.file
    if engine != Engine() and not engine.engine:
        raise OptionError("--workers and --cores are for --engine: name one, or leave them out")
    precision = sureness.precision
    if sureness.by_class and sureness.sets is None and not isinstance(precision, float):
        raise OptionError(
            "--by-class is for --sets and --min-precision: name a share, such as --sets 0.9, or leave it out"
        )
    if engine.engine:
        if sureness.sets is not None:
            raise OptionError("--sets does not work with --engine: choose one of them")
        if novelty.novelty:
            raise OptionError("--novelty needs the language model, which --engine leaves out: choose one of them")
        if sureness.scope is not None:
            raise OptionError("--scope does not work with --engine: choose one of them")
        if sureness.by_class:
            raise OptionError("--by-class does not work with --engine: name the labels, --min-precision LABEL=0.95")
        predict_on_engine(engine, model, data, out, text=text, file=file, min_precision=precision)
    elif text or (data is not None and _is_folder(data)):
        if data is None:
            raise OptionError("--text names a column, so name the file that has it, too")
        _predict_file(
            model, Path(data), out, text=text, file=file, sureness=sureness, novelty=novelty, device=compute.device
        )
    elif out is not None:
        raise OptionError("--out writes the rows of a file: name the column of its texts with --text")
    else:
        _predict_lines(model, data, file, sureness)


def _predict_file(
    model: Path,
    data: Path,
    out: Path | None,
    *,
    text: list[str],
    file: FileFormat,
    sureness: Sureness,
    novelty: Novelty,
    device: str,
) -> None:
    """Write the rows of a file, in their order, with their predictions, and say what is to be known of them."""
    from ulmfit_lib.rows.predictions import AddedColumns, RowLabeller, free_names
    from ulmfit_lib.rows.texts import read_texts
    from ulmfit_lib.rows.writer import row_writer

    blank: list[int] = []
    with row_writer(out) as write:
        parts = read_texts(data, text=text or ["text"], file=file)
        first = next(parts)  # what is wrong with the file is said before the model is read
        model = find_folder(model)
        classifier = load_classifier(model, device)
        names = AddedColumns.beside(first[0].names, classifier.classes)
        labeller = RowLabeller(classifier, names, sureness.thresholds(classifier))
        if names.prediction != "prediction":
            note(f"{data}: has such columns already, so the labels are in {names.prediction!r}, and so on")
        sets = sureness.prediction_sets(classifier)
        add_novelty = _novelty_adder(model, novelty, text, file, device) if novelty.novelty else None
        for rows, texts, _ in chain([first], parts):
            blank += [row for row, one in zip(rows.numbers, texts, strict=True) if not one]
            probabilities, outside = classifier.judge(texts, sureness.scope)
            labelled = labeller.label(rows, texts, probabilities, outside)
            if sets:
                named = ["; ".join(one) for one in classifier.named_sets(sets, probabilities)]
                given = [one if text else "" for one, text in zip(named, texts, strict=True)]
                labelled = labelled.adding(dict.fromkeys(free_names(labelled.names, ["set"]), given))
            write(add_novelty(labelled, texts) if add_novelty else labelled)
    if labeller.outside:
        note(f"{counted(labeller.outside, 'row')} labelled {classifier.scope.label}: like nothing that was labelled")
    if sureness.min_precision:
        share = 100 * labeller.unsure / max(labeller.rows - labeller.blank, 1)
        note(f"{labeller.unsure:,} of {counted(labeller.rows - labeller.blank, 'row')} ({share:.1f} %) labelled unsure")
    if blank:
        have = "has" if len(blank) == 1 else "have"
        note(f"{data}: {counted(len(blank), 'row')} {have} no text, so no prediction was made (first: row {blank[0]})")


def _predict_lines(model: Path, given: str | None, file: FileFormat, sureness: Sureness) -> None:
    """A text, or each line on standard input: its label, how likely that is, and the runner-up; nothing if blank."""
    from ulmfit_lib.tokens.rules import well_formed

    if given is not None:
        _check_is_text(given)
        given = well_formed(given)
    classifier = load_classifier(model)
    threshold = sureness.thresholds(classifier)
    sets = sureness.prediction_sets(classifier)
    for line in [given] if given is not None else _lines_of_stdin(file.encoding):
        if not line.strip():
            print(flush=True)
            continue
        probabilities, outside = classifier.judge([line], sureness.scope)
        label = classifier.decode(probabilities, threshold, outside)[0]
        order = probabilities[0].argsort()[::-1]
        names = [f"{classifier.classes[i]} {100 * probabilities[0, i]:.0f} %" for i in order[:2]]
        among = f"  {{{', '.join(classifier.named_sets(sets, probabilities)[0])}}}" if sets else ""
        print(f"{label}  ({', '.join(names)}){among}" + (f"  {line}" if given is None else ""), flush=True)


def _check_is_text(given: str) -> None:
    """Refuse the name of a file where a text is meant, whether the file is there or not."""
    if _exists(given):
        raise OptionError(f"{given} is a file: name the column of its texts with --text")
    if given.lower().endswith(ENDINGS) and not any(letter.isspace() for letter in given):
        raise OptionError(f"{given}: no such file; if it is a text, give it on standard input")


def _exists(given: str) -> bool:
    try:
        return bool(given) and Path(given).exists()
    except (OSError, ValueError):  # too long for a name, or with a character that no name has
        return False


def _is_folder(given: str) -> bool:
    return _exists(given) and Path(given).is_dir()


def _lines_of_stdin(encoding: str | None) -> Iterator[str]:
    """Lines as they come, decoded by the rules that hold for files."""
    from ulmfit_lib.rows.text_files import stream_lines

    yield from (line.rstrip() for line in stream_lines("standard input", sys.stdin.buffer, encoding))


def _novelty_adder(
    model: Path, novelty: Novelty, text: list[str], file: FileFormat, device: str
) -> "Callable[[Rows, Sequence[str]], Rows]":
    """What adds to rows how surprising their texts are beside those that the model was made from."""
    from ulmfit_lib.artifact.record import TrainingRecord
    from ulmfit_lib.insight.drift import Novelty as Measure
    from ulmfit_lib.insight.drift import with_novelty
    from ulmfit_lib.insight.readers import find_known
    from ulmfit_lib.models.devices import find_device

    chosen = str(find_device(device))
    texts = read_table(novelty.known, text=text, file=file).texts if novelty.known else None
    compared, lm = find_known(TrainingRecord.load(model), texts, base=novelty.base)
    measure = Measure.measure(lm, compared, device=chosen)
    return lambda rows, some: with_novelty(rows, some, measure, device=chosen)
