"""Parquet and Arrow files, and folders of them as Hugging Face's ``datasets`` writes them -> rows."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ulmfit_lib.errors import DataError, first_line
from ulmfit_lib.progress import note
from ulmfit_lib.rows.batch import Rows, arrow
from ulmfit_lib.rows.kinds import COMPRESSED, suffix_of
from ulmfit_lib.rows.text_files import open_bytes

if TYPE_CHECKING:
    import pyarrow as pa

SPLITS, STATE = "dataset_dict.json", "state.json"  # of a saved DatasetDict, and of a Dataset
ONE_OF = re.compile(r"-\d+-of-0*([2-9]|[1-9]\d+)$")
SHARD = re.compile(r"(-\d+-of-\d+|-?\d{4,}.*)?$")  # how the names of a split's files go on


def arrow_rows(path: Path, rows: int) -> Iterator[Rows]:
    """The rows of a Parquet or Arrow file, at most ``rows`` at a time, and before them none, with the columns."""
    pa = arrow(path)
    with open_bytes(path) as (stream, _):
        try:  # a compressed file is read at once: it is read from its end
            whole = BytesIO(stream.read()) if path.suffix.lower() in COMPRESSED else stream
            schema, batches = _parquet(whole, rows) if suffix_of(path) == ".parquet" else _arrow(whole, rows)
            yield from _batch_rows(schema, batches)
        except DataError:
            raise
        except (OSError, ValueError, pa.ArrowException) as error:
            kind = "Parquet" if suffix_of(path) == ".parquet" else "Arrow"
            plain = "; if it is text, give it a name that ends in .csv" if "magic" in str(error) else ""
            raise DataError(f"{path}: no readable {kind} file ({first_line(error)}){plain}") from error


def table_rows(table: "pa.Table") -> Rows:
    """An Arrow table in memory as rows."""
    return Rows.joined(list(_batch_rows(table.schema, table.to_batches())))


def _batch_rows(schema: "pa.Schema", batches: Any) -> Iterator[Rows]:
    kept = [place for place, name in enumerate(schema.names) if not name.startswith("__index_level_")]
    names = [schema.names[place] for place in kept]  # without those that pandas made up
    kinds = {name: schema.types[place] for name, place in zip(names, kept, strict=True)}
    known = class_names(schema)
    yield Rows(names, [()] * len(names), kinds=kinds, class_names=known)
    for batch in batches:
        batch.validate(full=True)  # Arrow trusts a damaged file's strings, and may crash on them
        yield Rows(names, [_cells(batch.column(place)) for place in kept], kinds=kinds, class_names=known)


def _cells(column: "pa.Array") -> list[Any]:
    """A column's cells; bytes that are UTF-8, as older programs write texts, are texts."""
    import pyarrow as pa

    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        with suppress(pa.ArrowInvalid):
            return column.cast(pa.large_string()).to_pylist()
    return column.to_pylist()


def class_names(schema: "pa.Schema") -> dict[str, Sequence[str]]:
    """What ``datasets`` notes of columns of class numbers: the classes' names, by column."""
    try:
        noted = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = noted["info"]["features"]
        found = {name: _names_of_feature(feature) for name, feature in features.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {name: names for name, names in found.items() if names}


def _names_of_feature(feature: Any) -> Sequence[str]:
    """Of class numbers, or of lists of them."""
    if isinstance(feature, list):
        feature = {"feature": feature[0]}
    if isinstance(feature, Mapping) and "feature" in feature:
        return _names_of_feature(feature["feature"])
    return list(feature.get("names") or ()) if feature.get("_type") == "ClassLabel" else ()


def _parquet(stream: Any, rows: int) -> tuple["pa.Schema", Any]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(stream, pre_buffer=False)  # or else it keeps all that it has read
    return file.schema_arrow, file.iter_batches(rows)


def _arrow(stream: Any, rows: int) -> tuple["pa.Schema", Any]:
    import pyarrow as pa

    start = stream.read(6)
    stream.seek(0)
    reader = pa.ipc.open_file(stream) if start == b"ARROW1" else pa.ipc.open_stream(stream)
    whole = range(reader.num_record_batches) if start == b"ARROW1" else ()
    batches = (reader.get_batch(number) for number in whole) if start == b"ARROW1" else reader
    parts = (batch.slice(place, rows) for batch in batches for place in range(0, batch.num_rows, rows))
    return reader.schema, parts


def dataset_files(path: Path) -> list[Path]:
    """The files of a folder that ``datasets`` saved, or that holds the Parquet files of one table; else none."""
    if (path / SPLITS).is_file():
        splits = sorted(one.name for one in path.iterdir() if (one / STATE).is_file())
        raise DataError(
            f"{path}: holds the splits {', '.join(splits)}: name one of them, such as {path / (splits or ['train'])[0]}"
        )
    if (path / STATE).is_file():
        try:
            return [path / one["filename"] for one in json.loads((path / STATE).read_text("utf-8"))["_data_files"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path / STATE}: missing or damaged ({first_line(error)})") from error
    files = sorted(path.rglob("*.parquet"))
    if len({file.parent / SHARD.sub("", file.stem) for file in files}) > 1:
        shown = ", ".join(str(file.relative_to(path)) for file in files[:5])
        whole = ", or put the shards of one table in a folder of their own" if ONE_OF.search(files[0].stem) else ""
        raise DataError(f"{path}: holds several tables ({shown}): name one of the files, such as {files[0]}{whole}")
    return files


def mention_shard(path: Path) -> None:
    """Say that a file is one of several that make up a table, as its name tells."""
    if found := ONE_OF.search(path.stem):
        note(
            f"{path}: read is one of the {found[1]} files that its table is in; to read them all, put them in a folder "
            "of their own, and name that"
        )
