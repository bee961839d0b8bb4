"""Files scored on Ray: rows flow from readers to a pool of actors, each of which writes what it scored.

Every row carries its file and its number in it. What an actor gets at a time becomes one part, a Parquet file that is
named after its first row and appears whole or not at all. So a part that is scored twice, because its actor died, takes
its own place; and a run that goes on leaves out the rows that parts hold already.
"""

import json
import logging
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ulmfit_lib.artifact.format import read_config
from ulmfit_lib.artifact.seal import SEAL
from ulmfit_lib.data.ray import Scorer, added_columns
from ulmfit_lib.data.reading import texts_of
from ulmfit_lib.data.sources import FILE, ROW, Source
from ulmfit_lib.data.writing import to_arrow
from ulmfit_lib.errors import ArtifactError, OptionError, UlmfitError
from ulmfit_lib.files import new_file, only_process, read_json, write_file
from ulmfit_lib.progress import bar, set_quiet
from ulmfit_lib.serving.predictor import Predictor

if TYPE_CHECKING:
    from ray.data import Dataset

JOB = "_job.json"  # readers of Parquet folders pass over names with an underscore
PARTS = 8  # a worker gets, if that makes none too small or too large
PART_BYTES = 1 << 16, 1 << 22  # from fifty reviews to some thousands, which take a core a minute


@dataclass(frozen=True)
class ScoredFiles:
    """What a run did.

    Attributes:
        rows: that it scored.
        blank: of these, without a text.
        unsure: of these, too uncertain for a label.
        before: rows that an earlier run had scored.
    """

    rows: int
    blank: int
    unsure: int
    before: int


def predict_files_on_ray(
    model: Path, data: Path, out: Path, *, text: Sequence[str], encoding: str = "utf-8", delimiter: str | None = None,
    min_precision: float | None = None, workers: int | None = None, cores: int = 1,
) -> ScoredFiles:  # fmt: skip
    """Score a file, or all files of a folder, into a folder of Parquet files; the same call goes on after a stop.

    The columns ``source_file`` and ``source_row``, from 1, say which row is which: nothing else keeps the order. The
    cluster is the one that ``RAY_ADDRESS`` names, and else this machine. All paths must be the same on every machine.

    Args:
        model: folder of a classifier, best of an exported one.
        data: a CSV, TSV, JSONL or Parquet file, or a folder of such files with the same columns.
        out: folder for the parts.
        text: columns that hold the texts; several are joined.
        encoding: of text files.
        delimiter: between columns; default a comma, in ``.tsv`` a tab.
        min_precision: precision to reach; rows too uncertain for it are labelled "unsure".
        workers: actors; default as many as the cluster has cores for.
        cores: that each actor reserves, and threads that it scores with.

    Raises:
        DataError: names the file, the row or the column at fault; most of it before the cluster starts.
        ArtifactError: no model that can be read, or ``out`` holds something else or the rows of another job.
        OptionError: Ray is missing, or the cluster has fewer cores than were asked for.
    """
    try:
        import_module("ray.data")  # what is missing is said before any work
    except ImportError as error:
        raise OptionError(f"--engine ray needs more packages ({error.name}): pip install 'ulmfit-lib[ray]'") from error
    source, out = Source.find(data, text, encoding, delimiter), out.resolve()
    schema, about = source.look()
    predictor = Predictor.load(model, threads=1)
    least = 0.0 if min_precision is None else predictor.certainty.threshold(min_precision)[0]
    added = added_columns(predictor.classes).names
    schema = pa.schema([field for field in schema if field.name not in added])
    scorer = {"model": str(model.resolve()), "text": source.text, "threads": cores, "least": least, "out": out}
    with only_process(out):
        _start_or_go_on(out, {**source.record(), "model": read_config(model).get(SEAL), "min_precision": least})
        held = sorted(out.glob("*.parquet"))
        before = sum(pq.read_metadata(part).num_rows for part in held)
        found = {"rows": 0, "blank": 0, "unsure": 0}
        with (
            _cluster(workers, cores) as size,
            bar(total=max(about, before), initial=before, description="scoring", unit=" rows") as progress,
        ):
            for part in _parts(source, schema, held, scorer, size).iter_rows():
                found = {name: number + part[name] for name, number in found.items()}
                progress.update(part["rows"])
    return ScoredFiles(**found, before=before)


def _start_or_go_on(out: Path, job: dict[str, Any]) -> None:
    """Make the folder, or find that it holds the rows of the same job."""
    if (out / JOB).is_file():
        found = read_json(out / JOB)
        if differ := [name for name, value in job.items() if found.get(name) != value]:
            raise ArtifactError(f"{out}: begun with another {differ[0]}; choose another place, or delete it")
        for unfinished in out.glob(".*.writing"):
            unfinished.unlink()
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ArtifactError(f"{out}: exists and holds no scored rows; choose another place")
    else:
        write_file(out / JOB, json.dumps(job).encode())


@contextmanager
def _cluster(workers: int | None, cores: int) -> Iterator[int]:
    """A cluster, and how many workers it is to have; one that is started here reports to nobody."""
    import ray
    from ray.exceptions import RayError

    if ours := not ray.is_initialized():
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what goes wrong is said below, once
        warnings.filterwarnings("ignore", module="ray")  # it would like more blocks than short files have
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address = None if "RAY_ADDRESS" in os.environ else "local"  # which asks for a token that only this user has
        try:
            with _silence():
                ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError) as error:
            raise OptionError(f"Ray does not start ({str(error).splitlines()[0]})") from error
    try:
        there = int(ray.cluster_resources().get("CPU", 0))
        if (workers or 1) * cores > there:
            raise OptionError(f"{workers or 1} × {cores} cores are asked for, and the cluster has {there}")
        yield workers or there // cores
    except RayError as error:
        cause: BaseException | None = error
        while isinstance(cause, RayError):
            cause = getattr(cause, "cause", None)
        if isinstance(cause, UlmfitError):  # said on purpose, in another process
            raise cause from error
        why = str(error).splitlines()[-1]
        raise UlmfitError(f"Ray stopped ({why}); what is scored stays, and the same command goes on") from error
    finally:
        if ours:
            ray.shutdown()


@contextmanager
def _silence() -> Iterator[None]:
    """Nothing on stderr, where Ray's own processes and its C++ write, too."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _parts(source: Source, schema: pa.Schema, held: list[Path], scorer: dict[str, Any], size: int) -> "Dataset":
    """Counts of rows, one row a part, which are there when the part is written."""
    from ray.data import ActorPoolStrategy, DataContext, TaskPoolStrategy, from_items

    whole = sum(path.stat().st_size for path in source.files.values())
    part_bytes = int(np.clip(whole // (PARTS * size), *PART_BYTES))
    context = DataContext.get_current()
    before = context.target_max_block_size, context.enable_progress_bars
    context.target_max_block_size, context.enable_progress_bars = part_bytes, False
    names = from_items([{"name": name} for name in source.files], override_num_blocks=len(source.files))
    context.target_max_block_size, context.enable_progress_bars = before
    rows = names.map_batches(
        _read, fn_kwargs={"source": source, "schema": schema, "held": held}, batch_size=1,
        compute=TaskPoolStrategy(size=min(size, len(source.files))), num_cpus=0,  # mostly it waits for the actors
    )  # fmt: skip
    return rows.map_batches(
        _PartScorer, fn_constructor_kwargs=scorer, batch_size=None, batch_format="pyarrow", num_cpus=scorer["threads"],
        compute=ActorPoolStrategy(size=size),
    )  # fmt: skip


def _read(names: dict[str, Any], source: Source, schema: pa.Schema, held: Sequence[Path]) -> Iterator[pa.Table]:
    """The rows of a file that no part held when the run began: a reader that is started again must find the same."""
    set_quiet(True)
    name, first = str(names["name"][0]), 1
    parts = [part for part in held if re.fullmatch(rf"{re.escape(name)}-\d{{12}}\.parquet", part.name)]
    scored = [pq.read_table(part, columns=[ROW])[ROW].to_numpy() for part in parts]
    done = np.concatenate([np.zeros(0, np.int64), *scored])
    for frame in source.frames(name):
        numbers = np.arange(first, first + len(frame))
        first += len(frame)
        left = ~np.isin(numbers, done)
        if left.any():
            rows = numbers[left].tolist()
            frame = frame[left].assign(**{FILE: name, ROW: rows})
            texts_of(frame, source.text, rows=rows, source=source.files[name])  # what is no text is named here
            yield to_arrow(frame[schema.names], schema, source.files[name])


class _PartScorer(Scorer):
    """Scores rows, writes them as a part, and tells how many there were."""

    def __init__(self, model: str, text: Sequence[str], threads: int, least: float, out: Path) -> None:
        super().__init__(model, text, threads, least)
        self.out = out

    def __call__(self, rows: pa.Table) -> dict[str, Any]:
        if not rows.num_rows:  # of a file that is done
            return {"rows": [], "blank": [], "unsure": []}
        scored = super().__call__(rows)
        part = self.out / f"{rows[FILE][0]}-{rows[ROW][0].as_py():012d}.parquet"
        with new_file(part) as temporary:
            pq.write_table(scored, temporary)
        unsure = np.asarray(scored["confidence"]) < self.least
        return {"rows": [len(unsure)], "blank": [scored["confidence"].null_count], "unsure": [int(unsure.sum())]}
