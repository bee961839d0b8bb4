"""Files scored on Ray: rows flow from readers to a pool of actors, each of which writes what it scored.

Every row carries its file and its number in it. What an actor gets at a time becomes one part, a Parquet file that is
named after its first row and appears whole or not at all. So a part that is scored twice, because its actor died, takes
its own place; and a run that goes on leaves out the rows that parts hold already. Parts are written in a folder of the
run, which the next run removes: actors that outlive a killed run for a while can add nothing more.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ulmfit_lib.arrays import Ints
from ulmfit_lib.artifact.format import read_config
from ulmfit_lib.artifact.seal import SEAL
from ulmfit_lib.engines.ray_cluster import cluster
from ulmfit_lib.engines.scoring import Scorer
from ulmfit_lib.engines.sources import FILE, ROW, Source
from ulmfit_lib.errors import ArtifactError, DataError, OptionError
from ulmfit_lib.evaluation.certainty import Precision
from ulmfit_lib.files import new_file, only_process, read_json, write_file
from ulmfit_lib.progress import bar, set_quiet
from ulmfit_lib.rows.kinds import FileFormat
from ulmfit_lib.rows.predictions import AddedColumns, RowLabeller
from ulmfit_lib.rows.texts import texts_of
from ulmfit_lib.serving.predictor import Predictor

if TYPE_CHECKING:
    from ray.data import Dataset

JOB = "_job.json"  # readers of Parquet folders pass over names with an underscore
PARTS = 8  # a worker gets, if that makes none too small or too large
PART_BYTES = 1 << 16, 1 << 22  # from fifty reviews to some thousands, which take a core a minute
RETRIES = 3  # of a part whose actor died; a text that ends every actor must not be tried for ever
WRITING = ".writing"  # how the names of unfinished files and folders end


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
    model: Path,
    data: Path,
    out: Path,
    *,
    text: Sequence[str],
    file: FileFormat | None = None,
    min_precision: Precision | None = None,
    workers: int | None = None,
    cores: int = 1,
) -> ScoredFiles:
    """Score a file, or all files of a folder, into a folder of Parquet files; the same call goes on after a stop.

    The columns ``source_file`` and ``source_row``, from 1, say which row is which: nothing else keeps the order. The
    cluster is the one that ``RAY_ADDRESS`` names, and else this machine. All paths must be the same on every machine.

    Args:
        model: folder of a classifier, best of an exported one.
        data: a CSV, TSV, JSONL or Parquet file, or a folder of such files with the same columns.
        out: folder for the parts.
        text: columns that hold the texts; several are joined.
        file: how text files are written; default what is found in each.
        min_precision: precision to reach, or by label; rows too uncertain for it are labelled "unsure".
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
    source, out = Source.find(data, text, file or FileFormat()), out.resolve()
    if data.resolve() in out.parents:
        raise ArtifactError(f"{out}: lies among the files to be scored; choose another place")
    schema, about = source.look()
    predictor = Predictor.load(model, threads=1)
    threshold = 0.0 if min_precision is None else predictor.thresholds(min_precision)
    job = {**source.record(), "model": read_config(model).get(SEAL), "precision to reach": min_precision}
    with only_process(out), _start_or_go_on(out, job) as run:
        names = AddedColumns.beside(schema.names, predictor.classes)
        scorer = {"model": str(model.resolve()), "text": source.text, "names": names, "threads": cores}
        scorer |= {"threshold": threshold, "run": run}
        done = _scored_rows(out)
        before = sum(map(len, done.values()))
        found = {"rows": 0, "blank": 0, "unsure": 0}
        with (
            cluster(workers, cores) as size,
            bar(total=max(about, before), initial=before, description="scoring", unit=" rows") as progress,
        ):
            for part in _parts(source, schema, done, scorer, size).iter_rows():
                found = {name: number + part[name] for name, number in found.items()}
                progress.update(part["rows"])
    return ScoredFiles(**found, before=before)


@contextmanager
def _start_or_go_on(out: Path, job: dict[str, Any]) -> Iterator[Path]:
    """Make the folder, or find that it holds the rows of the same job; what the run writes in meanwhile."""
    if (out / JOB).is_file():
        found = dict(read_json(out / JOB))
        differ = [name for name in [*job, *found] if name not in found or job.get(name) != found[name]]
        if differ and any(out.glob("*.parquet")):
            raise ArtifactError(f"{out}: begun with another {differ[0]}; choose another place, or delete it")
    elif out.exists() and (not out.is_dir() or any(not path.name.endswith(WRITING) for path in out.iterdir())):
        raise ArtifactError(f"{out}: exists and holds no scored rows; choose another place")
    write_file(out / JOB, json.dumps(job).encode())
    try:
        for left in out.glob(f".*{WRITING}"):  # renamed first: an actor that outlives its run may be at work there
            moved = left.rename(left.with_name(left.name + WRITING))
            shutil.rmtree(moved, ignore_errors=True) if moved.is_dir() else moved.unlink(missing_ok=True)
        run = Path(mkdtemp(prefix=".", suffix=WRITING, dir=out))
    except OSError as error:
        raise ArtifactError(f"{out}: cannot be written ({error.strerror or error})") from error
    try:
        yield run
    finally:
        shutil.rmtree(run, ignore_errors=True)


def _scored_rows(out: Path) -> dict[str, Ints]:
    """The numbers of the rows that parts hold, by file."""
    done: dict[str, list[Ints]] = {}
    for part in sorted(out.glob("*.parquet")):
        try:
            rows = pq.read_table(part, columns=[FILE, ROW])
        except (OSError, pa.ArrowException) as error:
            raise ArtifactError(f"{part}: damaged; delete it, and the same command scores its rows again") from error
        done.setdefault(rows[FILE][0].as_py(), []).append(rows[ROW].to_numpy())
    return {name: np.concatenate(numbers) for name, numbers in done.items()}


def _parts(source: Source, schema: pa.Schema, done: Mapping[str, Ints], scorer: dict[str, Any], size: int) -> "Dataset":
    """Counts of rows, one row a part, which are there when the part is written."""
    from ray.data import ActorPoolStrategy, DataContext, TaskPoolStrategy, from_items

    whole = sum(path.stat().st_size for path in source.files.values())
    part_bytes = int(np.clip(whole // (PARTS * size), *PART_BYTES))
    settings = {
        "target_max_block_size": part_bytes,
        "enable_progress_bars": False,
        "raise_original_map_exception": True,
    }
    context = DataContext.get_current()
    before = {name: getattr(context, name) for name in settings}
    for name, value in settings.items():
        setattr(context, name, value)
    names = from_items([{"name": name} for name in source.files], override_num_blocks=len(source.files))
    for name, value in before.items():
        setattr(context, name, value)
    rows = names.map_batches(
        _read,
        fn_kwargs={"source": source, "schema": schema, "done": done},
        batch_size=1,
        compute=TaskPoolStrategy(size=min(size, len(source.files))),
        num_cpus=0,  # mostly it waits for the actors
    )
    return rows.map_batches(
        _PartScorer,
        fn_constructor_kwargs=scorer,
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=scorer["threads"],
        compute=ActorPoolStrategy(size=size),
        max_task_retries=RETRIES,
    )


def _read(names: dict[str, Any], source: Source, schema: pa.Schema, done: Mapping[str, Ints]) -> Iterator[pa.Table]:
    """The rows of a file that no part held when the run began: a reader that is started again must find the same."""
    set_quiet(True)
    name = str(names["name"][0])
    for rows in source.rows(name):
        left = ~np.isin(rows.numbers, done.get(name, ()))
        if left.any():
            texts_of(rows, source.text, source.files[name])  # what is no text is named here
            numbers = list(rows.numbers)
            numbered = rows.adding({FILE: [name] * len(rows), ROW: numbers}).select(np.flatnonzero(left).tolist())
            yield numbered.to_arrow(source.files[name], schema)


class _PartScorer(Scorer):
    """Scores rows, writes them as a part, and tells how many there were."""

    def __init__(self, run: Path, **scorer: Any) -> None:
        super().__init__(**scorer)
        self.run = run

    def __call__(self, rows: pa.Table) -> dict[str, Any]:
        if not rows.num_rows:  # of a file that is done
            return {"rows": [], "blank": [], "unsure": []}
        scored, counts = self._scored(rows)
        part = self.run.parent / f"{rows[FILE][0]}-{rows[ROW][0].as_py():012d}.parquet"
        with new_file(part, within=self.run) as temporary:
            pq.write_table(scored, temporary)
        return {"rows": [counts.rows], "blank": [counts.blank], "unsure": [counts.unsure]}

    def _scored(self, rows: pa.Table) -> tuple[pa.Table, RowLabeller]:
        try:
            return self.score(rows)
        except Exception as error:
            if rows.num_rows == 1:
                raise DataError(f"{rows[FILE][0]}: row {rows[ROW][0]} cannot be scored ({error!r})") from error
            for place in range(rows.num_rows):  # one of them is to blame
                self._scored(rows.slice(place, 1))
            raise
