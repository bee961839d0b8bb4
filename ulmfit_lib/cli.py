"""The command line: each command parses, calls one function, reports. Results to stdout, progress to stderr."""

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ulmfit_lib.errors import OptionError, UlmfitError

if TYPE_CHECKING:
    from ulmfit_lib.data.table import TextTable
    from ulmfit_lib.models.classifier import TextClassifier

app = typer.Typer(
    help="Text classification from few labels with ULMFiT: offline, on a CPU, with an honest baseline.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
)  # fmt: skip

Data = Annotated[Path, typer.Argument(help="CSV, TSV, JSONL or Parquet (also .gz, .xz, .zst), or a folder per label.")]
Text = Annotated[list[str], typer.Option("--text", help="Column of the texts; repeat it to join several.")]
Label = Annotated[str, typer.Option(help="Column of the labels; an empty cell is a text without a label.")]
Out = Annotated[Path, typer.Option(help="Folder to save the model in.")]
Base = Annotated[str, typer.Option(help="Language model to go on from: a name (see `models`) or a folder.")]
Direction = Annotated[str | None, typer.Option(help="forward, backward or both.")]
Strategy = Annotated[str, typer.Option(help="fine-tune, or features: only the head learns the labels.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Epochs, instead of the default.")]
Rate = Annotated[float | None, typer.Option("--lr", min=1e-8, help="Learning rate, instead of the default.")]
ClassWeights = Annotated[str | None, typer.Option(help="balanced: weigh each class by its rarity.")]
Encoding = Annotated[str, typer.Option(help="Encoding of text files.")]
Delimiter = Annotated[str | None, typer.Option(help="Between columns; default a comma, in .tsv a tab.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a model that is there.")]
Restart = Annotated[bool, typer.Option("--restart", help="Forget the checkpoints of a run that was stopped.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same result.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and notes.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.command("pretrain")
def pretrain_command(
    files: Annotated[list[Path], typer.Argument(help="Files of texts, such as wikipedia/*.jsonl.xz.")],
    out: Out,
    text: Text = ["text"],  # noqa: B006 (typer needs a list here)
    valid: Annotated[Path | None, typer.Option(help="Texts to measure on; default a tenth, 250 at most.")] = None,
    name: Annotated[str, typer.Option(help="What its card calls it; default the folder's name.")] = "",
    source: Annotated[str, typer.Option(help="Where the texts are from, for the card.")] = "",
    language: Annotated[str, typer.Option(help="A spaCy code, such as en or de.")] = "en",
    tokens: Annotated[str, typer.Option(help="words or subwords.")] = "words",
    vocab_size: Annotated[int, typer.Option(min=20, help="Tokens in the vocabulary.")] = 30_000,
    min_count: Annotated[int, typer.Option(min=1, help="Occurrences that a word needs.")] = 3,
    embedding: Annotated[int, typer.Option(min=1, help="Width of the embedding.")] = 256,
    hidden: Annotated[int, typer.Option(min=1, help="Width of the LSTM layers.")] = 512,
    layers: Annotated[int, typer.Option(min=1, help="Number of LSTM layers.")] = 3,
    direction: Annotated[str, typer.Option(help="forward, backward or both.")] = "forward",
    epochs: Epochs = None,
    lr: Rate = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Rows of the token stream.")] = None,
    samples: Annotated[int | None, typer.Option(min=0, help="Words in the sampled softmax; 0: all.")] = None,
    precision: Annotated[str, typer.Option(help="Stored as float32, float16 or int8.")] = "float32",
    encoding: Encoding = "utf-8",
    overwrite: Overwrite = False,
    restart: Restart = False,
    seed: Seed = 42,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Stage 1: make a language model from texts, such as Wikipedia's articles."""
    _start(quiet, out, overwrite)
    from ulmfit_lib.data.reading import read_csv
    from ulmfit_lib.models.awd_lstm import Architecture
    from ulmfit_lib.stages import PRETRAIN, override, pretrain

    texts = [one for file in files for one in read_csv(file, text=text, encoding=encoding).texts]
    model = pretrain(
        texts, valid_texts=read_csv(valid, text=text, encoding=encoding).texts if valid else None,
        name=name or out.name, source=source or ", ".join(file.name for file in files), language=language,
        tokens=tokens, vocab_size=vocab_size, min_count=min_count,
        architecture=Architecture(embedding, hidden, layers), direction=direction,
        recipe=override(PRETRAIN, batch_size=batch_size, samples=samples), epochs=epochs, lr=lr, seed=seed,
        device=device, checkpoint=_checkpoint(out, restart),
    )  # fmt: skip
    model.save(out, precision=precision, overwrite=overwrite)
    _finish_language_model(out, model.training)


@app.command("fit-lm")
def fit_lm_command(
    data: Data,
    text: Text,
    out: Out,
    base: Base = "wiki-en-small",
    direction: Direction = None,
    epochs: Epochs = None,
    lr: Rate = None,
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = None,
    overwrite: Overwrite = False,
    restart: Restart = False,
    seed: Seed = 42,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Stage 2: let a language model read your texts, with or without labels."""
    _start(quiet, out, overwrite)
    from ulmfit_lib.data.reading import read_csv
    from ulmfit_lib.models.language_model import LanguageModel
    from ulmfit_lib.stages import fit_lm

    table = read_csv(data, text=text, encoding=encoding, delimiter=delimiter)
    _say_skipped(table)
    model = fit_lm(
        table.texts, base=LanguageModel.from_pretrained(base), direction=direction, epochs=epochs, lr=lr, seed=seed,
        device=device, source=table.source, checkpoint=_checkpoint(out, restart),
    )  # fmt: skip
    model.save(out, overwrite=overwrite)
    _finish_language_model(out, model.training)


@app.command("fit-classifier")
def fit_classifier_command(
    data: Data,
    text: Text,
    label: Label,
    lm: Annotated[str, typer.Option(help="Language model: a folder (see fit-lm) or a name (see `models`).")],
    out: Out,
    direction: Direction = None,
    strategy: Strategy = "fine-tune",
    epochs: Epochs = None,
    lr: Rate = None,
    class_weights: ClassWeights = None,
    label_smoothing: Annotated[float | None, typer.Option(min=0, max=0.99, help="Of fine-tuning.")] = None,
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = None,
    overwrite: Overwrite = False,
    seed: Seed = 42,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Stage 3: put a classifier head on a language model and let both learn your labels."""
    _start(quiet, out, overwrite)
    from ulmfit_lib.data.reading import read_csv
    from ulmfit_lib.models.language_model import LanguageModel
    from ulmfit_lib.stages import fit_classifier

    table = read_csv(data, text=text, label=label, encoding=encoding, delimiter=delimiter)
    _say_skipped(table)
    classifier = fit_classifier(
        table, lm=LanguageModel.from_pretrained(lm), direction=direction, strategy=strategy, epochs=epochs, lr=lr,
        class_weights=class_weights, label_smoothing=label_smoothing, seed=seed, device=device,
    )  # fmt: skip
    classifier.save(out, overwrite=overwrite)
    print(f"classifier of {len(classifier.classes)} classes, from {len(table.labelled())} labelled texts")
    print(f"saved in {out}")


@app.command("fit")
def fit_command(
    data: Data,
    text: Text,
    label: Label,
    out: Out,
    base: Base = "wiki-en-small",
    direction: Direction = None,
    strategy: Strategy = "features",
    test_fraction: Annotated[float, typer.Option(help="Share of the labelled rows that is held out.")] = 0.2,
    lm_epochs: Epochs = None,
    class_weights: ClassWeights = None,
    with_baseline: Annotated[str, typer.Option(help="no: leave TF-IDF + logistic regression out.")] = "yes",
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = None,
    overwrite: Overwrite = False,
    restart: Restart = False,
    seed: Seed = 42,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """All three stages from one file, scored beside TF-IDF + logistic regression on held-out rows."""
    if with_baseline not in ("yes", "no"):
        raise OptionError(f"--with-baseline {with_baseline!r}: say yes or no")
    _start(quiet, out, overwrite)
    from ulmfit_lib.data.reading import read_csv
    from ulmfit_lib.pipeline import fit

    table = read_csv(data, text=text, label=label, encoding=encoding, delimiter=delimiter)
    classifier = fit(
        table, base=base, direction=direction, strategy=strategy, test_fraction=test_fraction, lm_epochs=lm_epochs,
        class_weights=class_weights, with_baseline=with_baseline == "yes", seed=seed, device=device,
        checkpoint=_checkpoint(out, restart),
    )  # fmt: skip
    classifier.save(out, overwrite=overwrite)
    _forget_checkpoints(out)
    _print_fit(classifier, out, as_json)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="Folder of a classifier.")],
    data: Data,
    text: Text,
    out: Annotated[Path | None, typer.Option(help="File to write: .csv, .tsv, .jsonl, .parquet.")] = None,
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Label every row of a file: its columns, then prediction, confidence, and a probability per class."""
    _start(quiet)
    from ulmfit_lib.data.reading import read_csv
    from ulmfit_lib.data.writing import write_table
    from ulmfit_lib.models.classifier import TextClassifier
    from ulmfit_lib.models.devices import find_device
    from ulmfit_lib.progress import note

    table = read_csv(data, text=text, encoding=encoding, delimiter=delimiter, keep_blank=True)
    classifier = TextClassifier.load(model)
    blank = [row for row, one in zip(table.rows, table.texts, strict=True) if not one]
    if blank:
        note(f"{data}: {len(blank)} rows have no text (first row {blank[0]}): their label stays empty")
    probabilities = classifier.predict_proba(table.texts, device=str(find_device(device)))
    write_table(table, classifier.classes, probabilities, source=data, out=out, encoding=encoding, delimiter=delimiter)


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="Folder of a classifier.")],
    data: Data,
    text: Text,
    label: Label,
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = None,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Score a classifier on labelled rows that it has not seen."""
    _start(quiet)
    from ulmfit_lib.data.reading import read_csv
    from ulmfit_lib.models.classifier import TextClassifier
    from ulmfit_lib.models.devices import find_device

    table = read_csv(data, text=text, label=label, encoding=encoding, delimiter=delimiter)
    _say_skipped(table)
    parts = TextClassifier.load(model).evaluate_parts(table, device=str(find_device(device)))
    scores = parts["delivered"]
    others = {part: other.as_dict() for part, other in parts.items() if part != "delivered" and len(parts) > 2}
    if as_json:
        print(json.dumps({**scores.as_dict(), **({"parts": others} if others else {})}))
        return
    print(f"{scores.n} rows: accuracy {scores.accuracy:.4f} ({scores.low:.4f} to {scores.high:.4f})")
    print(f"macro F1 {scores.macro_f1:.4f}, log loss {scores.log_loss:.4f}", end=", ")
    print(f"calibration error {scores.calibration_error:.4f}")
    for part, other in others.items():
        print(f"{part} alone: accuracy {other['accuracy']:.4f}, macro F1 {other['macro_f1']:.4f}")


@app.command()
def generate(
    model: Annotated[str, typer.Argument(help="Language model: a folder or a name (see `models`).")],
    prompt: Annotated[str, typer.Option(help="How the text starts.")] = "",
    max_tokens: Annotated[int, typer.Option(min=1, help="At most this many new tokens.")] = 100,
    temperature: Annotated[float, typer.Option(min=0, help="0: always the likeliest token.")] = 0.8,
    top_k: Annotated[int, typer.Option(min=0, help="Draw from the k likeliest; 0: from all.")] = 0,
    top_p: Annotated[float, typer.Option(min=0.01, max=1, help="Draw from this share of the probability.")] = 0.95,
    seed: Seed = 42,
) -> None:
    """Let a language model write on."""
    from ulmfit_lib.models.language_model import LanguageModel

    language_model = LanguageModel.from_pretrained(model)
    print(
        language_model.generate(
            prompt, max_tokens=max_tokens, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
        )
    )


@app.command()
def models(as_json: AsJson = False) -> None:
    """List the language models that come with the library."""
    from ulmfit_lib.models.pretrained import describe_embedded

    rows = describe_embedded()
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(
            f"{row['name']}: {row['language']}, {row['direction']}, {row['tokens']:,} {row['tokenizer']}, "
            f"{row['megabytes']:.1f} MB, perplexity {row['perplexity']:.1f}"
        )


@app.command()
def info(
    model: Annotated[str, typer.Argument(help="Folder of a model, or a name (see `models`).")], as_json: AsJson = False
) -> None:
    """Say what a saved model is and how it came to be."""
    from ulmfit_lib.models.pretrained import describe_model, find_pretrained

    path = find_pretrained(model)
    description = describe_model(path)
    print(json.dumps(description) if as_json else (path / "README.md").read_text(encoding="utf-8").rstrip())


@app.command()
def demo(
    out: Out = Path("demo-model"),
    seed: Seed = 42,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Run all three stages on 400 made-up reviews; takes a few minutes on a CPU."""
    _start(quiet, out, overwrite=True)
    from ulmfit_lib.data.reading import read_csv
    from ulmfit_lib.models.pretrained import EMBEDDED
    from ulmfit_lib.pipeline import fit

    table = read_csv(EMBEDDED / "reviews.csv", text="review", label="sentiment")
    classifier = fit(table, seed=seed, device=device)
    classifier.save(out, overwrite=True)
    _print_fit(classifier, out, as_json=False)
    print("\nFive reviews that it has not seen:")
    for text, probabilities in zip(DEMO_REVIEWS, classifier.predict_proba(DEMO_REVIEWS), strict=True):
        best = probabilities.argmax()
        print(f"  {classifier.classes[best]:8} {100 * probabilities[best]:3.0f} %  {text}")
    print(f"\nTry it: python -m ulmfit_lib.cli predict {out} YOUR.csv --text COLUMN")


DEMO_REVIEWS = [
    "A wonderful film with a great cast, funny and warm. Loved every minute.",
    "The food was cold, the waiter was rude and we waited an hour. Never again.",
    "Great little speaker, the sound is excellent and the battery lasts for days.",
    "It broke after a week and they refused a refund. A useless product.",
    "Terrible acting, a stupid plot and a horrible ending. I was bored.",
]


def _start(quiet: bool, out: Path | None = None, overwrite: bool = False) -> None:
    from ulmfit_lib.files import refuse_existing
    from ulmfit_lib.progress import set_quiet

    set_quiet(quiet)
    if out is not None:
        refuse_existing(out, overwrite=overwrite)


def _checkpoint(out: Path, restart: bool) -> Path:
    """Beside the result, so that the same command run again finds it."""
    folder = out.parent / f".{out.name}.checkpoints"
    if restart:
        shutil.rmtree(folder, ignore_errors=True)
    return folder


def _forget_checkpoints(out: Path) -> None:
    shutil.rmtree(_checkpoint(out, restart=False), ignore_errors=True)


def _finish_language_model(out: Path, training: dict[str, Any]) -> None:
    _forget_checkpoints(out)
    stage = training["stages"][-1]
    measured = stage["validation"]
    print(f"read {stage['texts']:,} texts, {stage['tokens_per_epoch']:,} tokens, in {stage['seconds']:,} seconds")
    print(f"perplexity {measured['perplexity']:.1f} per token on {measured['tokens']:,} held-out tokens", end=" ")
    print(f"({100 * measured['unknown_share']:.1f} % unknown words)")
    print(f"saved in {out}")


def _print_fit(classifier: "TextClassifier", out: Path, as_json: bool) -> None:
    report = classifier.training["report"]
    if as_json:
        print(json.dumps({**report, "saved": str(out)}))
        return
    print(report["sentence"])
    print(f"saved in {out}, fitted to all {report['labelled_rows'] + report['held_out_rows']} labelled rows")


def _say_skipped(table: "TextTable") -> None:
    from ulmfit_lib.progress import note

    if table.skipped:
        note(f"{table.source}: {table.skipped} rows without a text skipped")


def main() -> None:
    """Run the command line; errors made on purpose become one sentence and exit code 2."""
    try:
        app()
    except UlmfitError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
