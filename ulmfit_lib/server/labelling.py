"""What a job does with a file of texts: it labels every row."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ulmfit_lib.errors import DataError
from ulmfit_lib.files import new_file
from ulmfit_lib.progress import quietly
from ulmfit_lib.rows.delimited import NoRows
from ulmfit_lib.rows.json_files import cell_at, lists_within, names_within
from ulmfit_lib.rows.kinds import WORKBOOKS, FileFormat, suffix_of
from ulmfit_lib.rows.predictions import AddedColumns, RowLabeller
from ulmfit_lib.rows.reader import read_rows
from ulmfit_lib.rows.texts import read_texts
from ulmfit_lib.rows.workbooks import sheet_names
from ulmfit_lib.rows.writer import row_writer
from ulmfit_lib.server.jobs import Job
from ulmfit_lib.server.models import Models

ROWS = 64  # labelled between two looks at whether to stop


def column_names(content: Callable[[Path], object], name: str, file: FileFormat) -> dict[str, list[str]]:
    """The names of the ``columns`` of a file that ``content`` writes, and of the ``sheets`` with rows of a workbook.

    Without a sheet, the columns are those of the first of these. What lies within the objects of the first row counts
    as a column, such as ``review.text``, and so does what the objects hold in lists within a document's only row.
    """
    with TemporaryDirectory() as folder, quietly():
        path = Path(folder) / name
        content(path)
        try:
            sheets = [sheet for sheet in _sheet_names(path) if _has_rows(path, sheet)]
            rows = read_rows(path, [], file, rows=1)
            first, *others = islice(rows, 2)
            record = {name: first.column(name)[0] for name in first.names}
            listed = [] if others else [cell_at(record, name)[0] for name in lists_within(record)]
            within = [name for one in listed for name in (*one, *names_within(one))]
            more = dict.fromkeys(name for name in (*names_within(record), *within) if name not in first.names)
            return {"columns": [*first.names, *more], "sheets": sheets}
        except DataError as error:
            raise DataError(str(error).replace(str(path), name)) from error


def _sheet_names(path: Path) -> list[str]:
    return sheet_names(path) if suffix_of(path) in WORKBOOKS else []


def _has_rows(path: Path, sheet: str) -> bool:
    try:
        return bool(next(read_rows(path, [], FileFormat(sheet=sheet), rows=1)))
    except NoRows:
        return False


def count_rows(path: Path, column: str, file: FileFormat) -> dict[str, Any]:
    """How many rows a file has, and none is done; what is wrong with the file is said."""
    return {"rows": sum(len(rows) for rows, *_ in read_texts(path, text=column, file=file)), "done": 0}


def label_file(job: Job, models: Models) -> None:
    """Write a job's rows with their predictions, in their order."""
    state = job.state
    served = models.find(state["model"])
    if served is None:
        raise DataError(f"no model is called {state['model']!r}")
    predictor, labeller = served.current(), None
    file = FileFormat(**state.get("format", {}))
    with new_file(job.result) as beside, row_writer(beside, suffix=".csv") as write:
        for rows, texts, _ in read_texts(job.file, text=state["column"], file=file, rows=ROWS):
            job.check()
            names = AddedColumns.beside(rows.names, predictor.classes)
            labeller = labeller or RowLabeller(predictor, names)
            write(labeller.label(rows, texts, *predictor.judge(texts)))
            job.tell(done=labeller.rows)
    if labeller:
        columns = {"prediction": labeller.names.prediction, "confidence": labeller.names.confidence}
        job.tell(state="done", labels=labeller.labels, blank=labeller.blank, columns=columns)
