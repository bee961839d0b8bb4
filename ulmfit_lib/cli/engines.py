"""What `predict` does on an engine, and its options."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from ulmfit_lib.cli.options import FileFormat
from ulmfit_lib.cli.parsing import Option
from ulmfit_lib.errors import OptionError
from ulmfit_lib.progress import counted, note

if TYPE_CHECKING:
    from ulmfit_lib.evaluation.certainty import Precision

ENGINE = "Scoring on an engine"


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
    from ulmfit_lib.hub.fetching import find_folder

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
