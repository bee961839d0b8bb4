"""Commands for language models: pretrain, fit-lm, generate, evaluate-lm."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ulmfit_lib.cli.shared import (
    AsJson,
    Base,
    CheckpointEvery,
    Data,
    Delimiter,
    Device,
    Direction,
    Encoding,
    Epochs,
    Out,
    Overwrite,
    Quiet,
    Rate,
    RecipeName,
    Restart,
    Seed,
    Settings,
    Text,
    app,
    read_table,
    start,
    training,
)
from ulmfit_lib.errors import OptionError


@app.command("pretrain")
def pretrain_command(
    files: Annotated[list[Path], typer.Argument(help="Files of texts (wikipedia/*.jsonl.xz) or a dump (.xml.bz2).")],
    out: Out,
    text: Text = ["text"],  # noqa: B006 (typer needs a list here)
    valid: Annotated[Path | None, typer.Option(help="Texts to measure on; default a tenth, 250 at most.")] = None,
    name: Annotated[str, typer.Option(help="What its card calls it; default the folder's name.")] = "",
    source: Annotated[str, typer.Option(help="Where the texts are from, for the card.")] = "",
    licence: Annotated[str, typer.Option(help="Under which the model may be used, for the card.")] = "",
    base: Annotated[str | None, typer.Option(help="Go on from this language model: a name or a folder.")] = None,
    language: Annotated[str | None, typer.Option(help="A spaCy code, such as de; default en.")] = None,
    tokens: Annotated[str | None, typer.Option(help="words (default) or subwords.")] = None,
    vocab_size: Annotated[
        int | None, typer.Option(min=20, help="Tokens in the vocabulary; default 30,000, or 1.2 times the base's.")
    ] = None,
    min_count: Annotated[int, typer.Option(min=1, help="Occurrences that a word needs.")] = 3,
    embedding: Annotated[int | None, typer.Option(min=1, help="Width of the embedding; default 256.")] = None,
    hidden: Annotated[int | None, typer.Option(min=1, help="Width of the LSTM layers; default 512.")] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Number of LSTM layers; default 3.")] = None,
    direction: Direction = None,
    epochs: Epochs = None,
    lr: Rate = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Rows of the token stream.")] = None,
    samples: Annotated[int | None, typer.Option(min=0, help="Words in the sampled softmax; 0: all.")] = None,
    precision: Annotated[str, typer.Option(help="Stored as float32, float16 or int8.")] = "float32",
    encoding: Encoding = "utf-8",
    overwrite: Overwrite = False,
    restart: Restart = False,
    checkpoint_every: CheckpointEvery = 60,
    seed: Seed = 42,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Stage 1: make a language model from texts, such as Wikipedia's articles."""
    from ulmfit_lib.artifact.architecture import Architecture
    from ulmfit_lib.data.reading import read_csv
    from ulmfit_lib.data.wikipedia import is_dump, store_dumps
    from ulmfit_lib.models.language_model import LanguageModel
    from ulmfit_lib.stages.pretrain import PRETRAIN, pretrain
    from ulmfit_lib.training.recipes import override

    with training(quiet, out, overwrite, restart=restart, every=checkpoint_every) as checkpoints:
        fixed = {"language": language, "tokens": tokens, "embedding": embedding, "hidden": hidden, "layers": layers}
        if base and (given := [option for option, value in fixed.items() if value is not None]):
            raise OptionError(f"--{given[0]}: with --base, it is the base that decides this; leave one of the two out")
        texts: Sequence[str]
        if all(map(is_dump, files)):
            texts = store_dumps(files)
        else:
            texts = [one for file in files for one in read_csv(file, text=text, encoding=encoding).texts]
        model = pretrain(
            texts, valid_texts=read_csv(valid, text=text, encoding=encoding).texts if valid else None,
            base=LanguageModel.from_pretrained(base) if base else None, name=name or out.name,
            source=source or ", ".join(file.name for file in files), language=language or "en",
            tokens=tokens or "words", vocab_size=vocab_size, min_count=min_count, direction=direction,
            architecture=override(Architecture(), embedding=embedding, hidden=hidden, layers=layers),
            recipe=override(PRETRAIN, batch_size=batch_size, samples=samples), epochs=epochs, lr=lr, seed=seed,
            device=device, licence=licence, checkpoints=checkpoints,
        )  # fmt: skip
        model.save(out, precision=precision, overwrite=overwrite)
    _finish_language_model(out, model.training)


@app.command("fit-lm")
def fit_lm_command(
    data: Data,
    text: Text,
    out: Out,
    base: Base = "auto",
    direction: Direction = None,
    recipe: RecipeName = "cpu",
    settings: Settings = [],  # noqa: B006 (typer needs a list here)
    epochs: Epochs = None,
    lr: Rate = None,
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = None,
    overwrite: Overwrite = False,
    restart: Restart = False,
    checkpoint_every: CheckpointEvery = 60,
    seed: Seed = 42,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Stage 2: let a language model read your texts, with or without labels."""
    from ulmfit_lib.models.bases import load_base
    from ulmfit_lib.progress import note
    from ulmfit_lib.stages.fit_lm import fit_lm
    from ulmfit_lib.training.recipes import find_recipe, with_settings

    with training(quiet, out, overwrite, restart=restart, every=checkpoint_every) as checkpoints:
        changed = with_settings(find_recipe(recipe or "cpu").fit_lm, settings)
        table = read_table(data, text=text, encoding=encoding, delimiter=delimiter)
        chosen, why = load_base(base, table.texts, direction=direction, seed=seed)
        note(why)
        model = fit_lm(
            table.texts, base=chosen, direction=direction, recipe=changed, epochs=epochs, lr=lr, seed=seed,
            device=device, source=table.source, checkpoints=checkpoints,
        )  # fmt: skip
        model.save(out, overwrite=overwrite)
    _finish_language_model(out, model.training)


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


@app.command("evaluate-lm")
def evaluate_lm(
    models: Annotated[list[str], typer.Argument(help="Language models: folders or names (see `models`).")],
    on: Annotated[Path, typer.Option(help="File of texts that none of them has read.")],
    text: Text,
    hardest: Annotated[int, typer.Option(min=0, help="Texts to show that a model finds hardest.")] = 3,
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = None,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Compare language models on texts: perplexity per word by the full softmax, and which texts each finds hard."""
    start(quiet)
    from ulmfit_lib.data.reading import read_csv
    from ulmfit_lib.models.devices import find_device
    from ulmfit_lib.models.language_model import LanguageModel

    table = read_csv(on, text=text, encoding=encoding, delimiter=delimiter)
    results = []
    for name in models:
        model = LanguageModel.from_pretrained(name)
        score, each = model.score_each(table.texts, device=str(find_device(device)))
        places = [int(i) for i in (-each).argsort()[:hardest]]
        hard = [{"row": table.rows[i], "perplexity_per_word": each[i], "text": table.texts[i]} for i in places]
        results.append({"model": name, **asdict(score), "hardest": hard})
    if as_json:
        print(json.dumps(results))
        return
    for result in results:
        print(
            f"{result['model']}: perplexity {result['perplexity_per_word']:.1f} per word, "
            f"{result['perplexity']:.1f} per token, {100 * result['unknown_share']:.1f} % unknown words"
        )
        for one in result["hardest"]:
            print(f"  row {one['row']}: {one['perplexity_per_word']:,.0f}  {' '.join(one['text'].split())[:80]}")


def _finish_language_model(out: Path, training: dict[str, Any]) -> None:
    stage = training["stages"][-1]
    measured = stage["validation"]
    print(f"read {stage['texts']:,} texts, {stage['tokens_per_epoch']:,} tokens, in {stage['seconds']:,} seconds")
    print(f"perplexity {measured['perplexity']:.1f} per token on {measured['tokens']:,} held-out tokens", end=" ")
    print(f"({100 * measured['unknown_share']:.1f} % unknown words)")
    print(f"saved in {out}")
