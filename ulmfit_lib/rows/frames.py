"""Tables in memory, as Python's libraries hold them -> rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from ulmfit_lib.errors import DataError
from ulmfit_lib.rows.arrow_files import table_rows
from ulmfit_lib.rows.batch import Rows, arrow

SOURCE = "the data"


def rows_of(data: Any) -> Rows:
    """The rows of a table in memory; their numbers are from 1, whatever its index.

    It is a frame of pandas (of any index) or Polars, an Arrow table, a ``datasets.Dataset``, anything else that speaks
    Arrow's C interface (such as DuckDB's relations), a list of dicts, or a dict of lists; else a DataError.

    >>> rows_of([{"text": "A fine film.", "label": "good"}, {"text": "Dull."}]).columns
    [['A fine film.', 'Dull.'], ['good', None]]
    """
    if hasattr(data, "iloc") and hasattr(data, "columns"):  # pandas, where Arrow would refuse columns of several kinds
        return Rows([str(name) for name in data.columns], [data.iloc[:, i].tolist() for i in range(data.shape[1])])
    if hasattr(data, "with_format") and hasattr(data, "num_rows"):  # datasets, whose features name the classes
        found = table_rows(data.with_format("arrow")[:].cast(data.features.arrow_schema))
    elif hasattr(data, "__arrow_c_stream__"):
        found = table_rows(_from_arrow(data))
    elif isinstance(data, Mapping) and not any(hasattr(cells, "features") for cells in data.values()):
        found = Rows.of({str(name): list(cells) for name, cells in data.items()})
    elif isinstance(data, Sequence) and data and all(isinstance(row, Mapping) for row in data):
        names = dict.fromkeys(name for row in data for name in row)
        found = Rows([str(name) for name in names], [[row.get(name) for row in data] for name in names])
    else:
        what = (
            f"the splits {', '.join(map(str, data))}"
            if isinstance(data, Mapping)
            else f"of the type {type(data).__name__}"
        )
        raise _no_table(what)
    if len({len(cells) for cells in found.columns}) > 1:
        raise DataError(f"{SOURCE}: the columns have {' and '.join(str(len(cells)) for cells in found.columns)} rows")
    return found


def _from_arrow(data: Any) -> Any:
    pa = arrow(SOURCE)
    try:
        return pa.table(data)
    except (pa.ArrowException, TypeError, ValueError) as error:  # a column, such as a Series
        raise _no_table(f"of the type {type(data).__name__}") from error


def _no_table(what: str) -> DataError:
    return DataError(
        f"{SOURCE}: {what}, where a file's name or one table is needed: a frame, an Arrow table, a list of dicts, or a "
        "dict of lists"
    )
