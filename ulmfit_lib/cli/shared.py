"""What all commands share: their options, and how each starts and ends."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ulmfit_lib.data.table import TextTable
    from ulmfit_lib.training.checkpoints import Checkpoints

app = typer.Typer(
    help="Text classification from few labels with ULMFiT: offline, on a CPU, with an honest baseline.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
)  # fmt: skip

Data = Annotated[Path, typer.Argument(help="CSV, TSV, JSONL or Parquet (also .gz, .xz, .zst), or a folder per label.")]
Text = Annotated[list[str], typer.Option("--text", help="Column of the texts; repeat it to join several.")]
Label = Annotated[str, typer.Option(help="Column of the labels; an empty cell is a text without a label.")]
Ratings = Annotated[bool, typer.Option("--ratings", help="The labels are numbers, and so is the answer.")]
LabelDelimiter = Annotated[str | None, typer.Option(help="A text has several labels, parted by this, such as ';'.")]
Out = Annotated[Path, typer.Option(help="Folder to save the model in.")]
Base = Annotated[
    str, typer.Option(help="Language model to go on from: a name (see `models`), a folder, or auto: the best embedded.")
]
Direction = Annotated[str | None, typer.Option(help="forward, backward or both.")]
Strategy = Annotated[
    str | None, typer.Option(help="fine-tune, features (only the head learns the labels), or, in fit, auto: by size.")
]
RecipeName = Annotated[
    str | None, typer.Option("--recipe", help="Hyperparameters: cpu (ours), paper, scripts, fastai or multifit.")
]
Settings = Annotated[list[str], typer.Option("--set", help="One value of the recipe, such as batch_size=32.")]
StageSettings = Annotated[list[str], typer.Option("--set", help="One value of the recipe, such as fit_lm.lr=0.002.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Epochs, instead of the default.")]
Rate = Annotated[float | None, typer.Option("--lr", min=1e-8, help="Learning rate, instead of the default.")]
ClassWeights = Annotated[str | None, typer.Option(help="balanced: weigh each class by its rarity.")]
Encoding = Annotated[str, typer.Option(help="Encoding of text files.")]
Delimiter = Annotated[str | None, typer.Option(help="Between columns; default a comma, in .tsv a tab.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a model that is there.")]
Restart = Annotated[bool, typer.Option("--restart", help="Forget the checkpoints of a run that was stopped.")]
CheckpointEvery = Annotated[float, typer.Option(min=0, help="Seconds between two checkpoints.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same result.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and notes.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


def start(quiet: bool, out: Path | None = None, overwrite: bool = False) -> None:
    """Set up progress, and say before any work if the result could not be saved."""
    from ulmfit_lib.files import refuse_existing
    from ulmfit_lib.progress import set_quiet

    set_quiet(quiet)
    if out is not None:
        refuse_existing(out, overwrite=overwrite)


@contextmanager
def training(
    quiet: bool, out: Path, overwrite: bool, *, restart: bool, every: float
) -> "Iterator[Checkpoints]":  # fmt: skip
    """``start`` of a command that trains: no other process makes the same model meanwhile.

    Its checkpoints lie beside the result, so that the same command run again finds them, until the result is saved.
    """
    from ulmfit_lib.files import only_process
    from ulmfit_lib.training.checkpoints import Checkpoints

    folder = out.parent / f".{out.name}.checkpoints"
    with only_process(out):
        start(quiet, out, overwrite)
        if restart:
            shutil.rmtree(folder, ignore_errors=True)
        yield Checkpoints(folder, every=every)
        shutil.rmtree(folder, ignore_errors=True)


def read_table(data: Path, **options: Any) -> "TextTable":
    """``read_csv``, and rows that training does without are mentioned."""
    from ulmfit_lib.data.reading import read_csv
    from ulmfit_lib.progress import note

    table = read_csv(data, **options)
    if table.skipped:
        note(f"{table.source}: {table.skipped} rows without a text skipped")
    return table
