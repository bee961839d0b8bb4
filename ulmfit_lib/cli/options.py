"""Every option that several commands share, written once: its type, its help and, in a group, its default."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from ulmfit_lib.cli.parsing import Argument, Option
from ulmfit_lib.labels.options import KindOptions
from ulmfit_lib.rows import kinds

if TYPE_CHECKING:
    from ulmfit_lib.artifact.cards import Card
    from ulmfit_lib.training.run import Run

READING, RUNNING = "Reading the file", "Running"

Direction = Literal["forward", "backward", "both"]
RecipeName = Literal["cpu", "paper", "scripts", "fastai", "multifit"]
Precision = Literal["float32", "float16", "int8"]
TokenKind = Literal["words", "subwords"]

Data = Annotated[
    Path,
    Argument(
        help="A CSV, TSV, JSON, Excel, Parquet or fastText file (also .gz, .zip ...), or a folder with one folder per "
        "label."
    ),
]
Text = Annotated[list[str], Option("--text", help="Column that holds the texts; repeat it to join several columns.")]
LABEL_HELP = (
    "Column that holds the labels; an empty cell marks an unlabelled text. Repeat it for columns that each say yes or "
    "no to one label."
)
Label = Annotated[list[str], Option("--label", help=LABEL_HELP)]
Out = Annotated[Path, Option(help="Folder to save the model in.")]
Base = Annotated[
    str,
    Option(
        help="Language model to start from: a name (see `models`), a folder, also that of a classifier, whatever its "
        "classes, `hf:user/name`, or `auto` for the embedded model that suits your texts best."
    ),
]
Classifier = Annotated[Path, Argument(help="Folder of a classifier, or `hf:user/name` for one on the hub.")]
NoveltyBase = Annotated[
    str,
    Option(
        "--base",
        help="Language model to which words are surprising: a name (see `models`), a folder, `hf:user/name`, or `auto` "
        "for the one that the model was made from or, with --known, the embedded one that suits these texts best.",
    ),
]
Known = Annotated[
    Path | None,
    Option(
        help="File of texts of the kind that the model was made from; by default the model's folder says what these "
        "were like."
    ),
]
Directions = Annotated[
    Direction | None,
    Option("--direction", help="Direction in which the model reads; by default all that its base has."),
]
Recipe = Annotated[
    RecipeName,
    Option(
        "--recipe",
        help="Hyperparameters: `cpu` is ours, made for two cores; the others are those of ULMFiT's `paper`, of its "
        "authors' `scripts`, of `fastai`'s tutorial, and of `multifit`.",
    ),
]
SETTINGS_HELP = "Change one value of the recipe, such as {}; may be repeated. A name that is unknown lists those known."
Settings = Annotated[list[str], Option("--set", help=SETTINGS_HELP.format("batch_size=32"))]
Epochs = Annotated[int | None, Option(min=1, help="Number of epochs, instead of the recipe's.")]
Rate = Annotated[float | None, Option("--lr", min=1e-8, help="Learning rate, instead of the recipe's.")]
ClassWeights = Annotated[
    Literal["balanced"] | None,
    Option(
        "--class-weights",
        help="Give rare classes as much weight as common ones in fine-tuning and TF-IDF, as heads of a linear probe "
        "always do; by default each row counts once.",
    ),
]
AsJson = Annotated[bool, Option("--json", help="Print the result as JSON.")]
TimeColumn = Annotated[
    str | None,
    Option(
        help="Column that says when each text was written, as dates or numbers: scores are also told in the order of "
        "time."
    ),
]
Seed = Annotated[
    int,
    Option(min=0, help="Number that all chance is drawn from: the same one gives the same result.", section=RUNNING),
]
Device = Annotated[
    str, Option(help="Where to compute: cpu, cuda, or auto: on a GPU where there is one.", section=RUNNING)
]
Quiet = Annotated[bool, Option("--quiet", "-q", help="Show no progress bars and no notes.", section=RUNNING)]
Overwrite = Annotated[bool, Option("--overwrite", help="Replace a model that exists already.", section=RUNNING)]


@dataclass(frozen=True)
class FileFormat(kinds.FileFormat):
    """How text files are written."""

    encoding: Annotated[
        str | None, Option(help="Character encoding of text files that are not UTF-8, such as cp1252.", section=READING)
    ] = None
    delimiter: Annotated[
        str | None, Option(help="Character between columns, or `tab`; by default it is found.", section=READING)
    ] = None
    quoting: Annotated[
        Literal["double", "backslash", "none", "copy"] | None,
        Option(
            help="How quotation marks within quotes are written; `none`: they quote nothing; `copy`: likewise, and \\n "
            "is a line break, as databases copy tables. By default it is found.",
            section=READING,
        ),
    ] = None
    sheet: Annotated[
        str | None, Option(help="Sheet of a workbook; by default the first that has the columns.", section=READING)
    ] = None
    label_file: Annotated[
        str | None,
        Option(
            help="File of labels, one a line, for a file of texts, one a line: then --text text --label label.",
            section=READING,
        ),
    ] = None

    def as_arguments(self) -> list[str]:
        """The options that were given, for a command that reads the same file."""
        given = {f"--{name.replace('_', '-')}": value for name, value in asdict(self).items() if value is not None}
        return [part for pair in given.items() for part in pair]


@dataclass(frozen=True)
class LabelKind(KindOptions):
    """What the labels are."""

    ratings: Annotated[
        bool, Option("--ratings", help="Treat the labels as numbers and predict numbers.", section=READING)
    ] = False
    label_delimiter: Annotated[
        str | None,
        Option(
            help="Character between the labels of one text, such as ';', where texts have several.", section=READING
        ),
    ] = None

    def as_arguments(self) -> list[str]:
        """The options that were given, for a command that reads the same labels."""
        delimiter = [] if self.label_delimiter is None else ["--label-delimiter", self.label_delimiter]
        return ["--ratings", *delimiter] if self.ratings else delimiter


@dataclass(frozen=True)
class TextFile:
    """A file of texts."""

    data: Data
    text: Text
    file: FileFormat


@dataclass(frozen=True)
class LabelledFile:
    """A file of texts with their labels."""

    data: Data
    text: Text
    label: Label
    file: FileFormat

    def as_arguments(self) -> list[str]:
        """The options that name the columns and say how the file is written."""
        columns = [("--text", name) for name in self.text] + [("--label", name) for name in self.label]
        return [*(part for pair in columns for part in pair), *self.file.as_arguments()]


@dataclass(frozen=True)
class Compute:
    """Where a command computes."""

    device: Device = "auto"
    quiet: Quiet = False


@dataclass(frozen=True)
class SeededCompute:
    """Where a command computes that draws something at random."""

    seed: Seed = 42
    device: Device = "auto"
    quiet: Quiet = False

    def run(self) -> "Run":
        """What the library's functions take."""
        from ulmfit_lib.training.run import Run

        return Run(seed=self.seed, device=self.device)


@dataclass(frozen=True)
class RecipeChoice:
    """The hyperparameters of one stage."""

    recipe: Recipe = "cpu"
    settings: Settings = field(default_factory=list)
    epochs: Epochs = None
    lr: Rate = None


@dataclass(frozen=True)
class CardText:
    """What stands on a model's card."""

    name: Annotated[str, Option(help="Name on the model card; by default the folder's name.")] = ""
    source: Annotated[str, Option(help="Where the texts come from, for the model card.")] = ""
    licence: Annotated[str, Option(help="Licence of the model, for the model card.")] = ""

    def card(self, out: Path, files: Sequence[Path]) -> "Card":
        """The card of the model that is saved in ``out``, made from ``files``."""
        from ulmfit_lib.artifact.cards import Card

        return Card(self.name or out.name, self.source or ", ".join(path.name for path in files), self.licence)


@dataclass(frozen=True)
class TrainingRun:
    """How a command that trains runs, and how it goes on after it was stopped."""

    overwrite: Overwrite = False
    restart: Annotated[
        bool,
        Option("--restart", help="Start again, without the checkpoints of a run that was stopped.", section=RUNNING),
    ] = False
    checkpoint_every: Annotated[float, Option(min=0, help="Seconds between two checkpoints.", section=RUNNING)] = 60
    track: Annotated[
        str | None,
        Option(
            help="Write losses, settings and scores down: tensorboard:FOLDER, or mlflow:URI such as "
            "mlflow:sqlite:///runs.db.",
            section=RUNNING,
        ),
    ] = None
    seed: Seed = 42
    device: Device = "auto"
    quiet: Quiet = False
