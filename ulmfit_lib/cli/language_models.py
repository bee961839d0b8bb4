"""Commands for language models: pretrain, fit-lm, generate, evaluate-lm."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ulmfit_lib.cli.options import (
    AsJson,
    Base,
    CardText,
    Compute,
    Directions,
    FileFormat,
    Out,
    Precision,
    RecipeChoice,
    Seed,
    Text,
    TextFile,
    TokenKind,
    TrainingRun,
)
from ulmfit_lib.cli.parsing import Argument, Option
from ulmfit_lib.cli.plotting import Plots, plot_language_model
from ulmfit_lib.cli.running import command, given_options, read, read_table, training
from ulmfit_lib.errors import OptionError
from ulmfit_lib.progress import counted, note

if TYPE_CHECKING:
    from ulmfit_lib.artifact.record import TrainingRecord


@dataclass(frozen=True)
class Corpus:
    """The texts of stage 1."""

    text: Text = field(default_factory=lambda: ["text"])
    valid: Annotated[
        Path | None,
        Option(help="File of texts to measure perplexity on; by default a tenth of the texts, 250 at most."),
    ] = None


@dataclass(frozen=True)
class Network:
    """What kind of language model is made."""

    language: Annotated[
        str | None, Option(help="Language of the texts as a spaCy code, such as `de`; by default `en`.")
    ] = None
    tokens: Annotated[TokenKind | None, Option(help="Kind of tokens; by default words.")] = None
    embedding: Annotated[int | None, Option(min=1, help="Width of the embedding; by default 256.")] = None
    hidden: Annotated[int | None, Option(min=1, help="Width of the LSTM layers; by default 512.")] = None
    layers: Annotated[int | None, Option(min=1, help="Number of LSTM layers; by default 3.")] = None


@dataclass(frozen=True)
class PretrainingOptions:
    """How stage 1 trains."""

    base: Annotated[
        str | None, Option(help="Language model to continue from: a name or a folder; by default a new one.")
    ] = None
    direction: Directions = None
    vocab_size: Annotated[
        int | None, Option(min=20, help="Size of the vocabulary; by default 30,000, or 1.2 times the base's.")
    ] = None
    min_count: Annotated[int, Option(min=1, help="Occurrences that a word needs to enter the vocabulary.")] = 3
    epochs: Annotated[int | None, Option(min=1, help="Number of epochs; by default 1.")] = None
    lr: Annotated[float | None, Option("--lr", min=1e-8, help="Learning rate; by default 0.003.")] = None
    batch_size: Annotated[
        int | None, Option(min=1, help="Batch size of each process, in rows of the token stream; by default 80.")
    ] = None
    samples: Annotated[
        int | None,
        Option(min=0, help="Number of words that the sampled softmax draws; 0 uses all words. By default 2,048."),
    ] = None
    precision: Annotated[Precision, Option(help="Precision of the saved weights.")] = "float32"


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn."""

    max_tokens: Annotated[int, Option(min=1, help="Largest number of tokens to add.")] = 100
    temperature: Annotated[float, Option(min=0, help="How freely to draw; 0 always takes the likeliest token.")] = 0.8
    top_k: Annotated[int, Option(min=0, help="Draw from the k likeliest tokens; 0 draws from all.")] = 0
    top_p: Annotated[
        float, Option(min=0.01, max=1, help="Draw from the likeliest tokens whose probabilities add up to this.")
    ] = 0.95
    seed: Seed = 42


@command("pretrain", example="pretrain examples/reviews.csv --text review --name my-base --out models/my-base")
def pretrain_command(
    files: Annotated[
        list[Path],
        Argument(help="Files of texts (.jsonl.xz, .csv, ...) or Wikipedia dumps (.xml.bz2); all cores tokenise them."),
    ],
    out: Out,
    corpus: Corpus,
    network: Network,
    options: PretrainingOptions,
    card: CardText,
    file: FileFormat,
    asked: TrainingRun,
) -> None:
    """Stage 1: train a language model on many texts, such as the articles of Wikipedia."""
    from ulmfit_lib.artifact.architecture import Architecture
    from ulmfit_lib.data.stored_texts import collect_texts
    from ulmfit_lib.data.wikipedia import is_dump, store_dumps
    from ulmfit_lib.models.language_model import LanguageModel
    from ulmfit_lib.stages.pretrain import PRETRAIN, LanguageModelConfig, pretrain
    from ulmfit_lib.training.processes import is_main
    from ulmfit_lib.training.recipes import override

    with training(asked, out) as run:
        if options.base and (given := next(given_options(network), None)):
            raise OptionError(f"{given}: the base decides this already; leave out {given} or --base")

        def read_texts(path: Path) -> Sequence[str]:
            return read_table(path, text=corpus.text, file=file).texts

        texts = (
            store_dumps(files)
            if all(map(is_dump, files))
            else collect_texts(chain.from_iterable(map(read_texts, files)))
        )
        model = pretrain(
            texts,
            valid_texts=read_texts(corpus.valid) if corpus.valid else None,
            base=LanguageModel.from_pretrained(options.base) if options.base else None,
            config=LanguageModelConfig(
                architecture=override(
                    Architecture(), embedding=network.embedding, hidden=network.hidden, layers=network.layers
                ),
                tokens=network.tokens or "words",
                language=network.language or "en",
                vocab_size=options.vocab_size,
                direction=options.direction,
            ),
            recipe=override(
                PRETRAIN,
                epochs=options.epochs,
                lr=options.lr,
                batch_size=options.batch_size,
                samples=options.samples,
                min_count=options.min_count,
            ),
            card=card.card(out, files),
            run=run,
        )
        if is_main():
            model.save(out, precision=options.precision, overwrite=asked.overwrite)
    _finish_language_model(out, model.training)


@command("fit-lm", example="fit-lm examples/reviews.csv --text review --out models/reviews-lm")
def fit_lm_command(
    source: TextFile,
    out: Out,
    choice: RecipeChoice,
    asked: TrainingRun,
    base: Base = "auto",
    direction: Directions = None,
    plots: Plots = None,
) -> None:
    """Stage 2: fine-tune a language model on your texts; it needs no labels."""
    from ulmfit_lib.models.bases import load_base
    from ulmfit_lib.stages.fit_lm import fit_lm
    from ulmfit_lib.training.processes import is_main
    from ulmfit_lib.training.recipes import find_recipe, override, with_settings

    with training(asked, out) as run:
        chosen_recipe = find_recipe(choice.recipe)
        changed = with_settings(chosen_recipe.fit_lm, choice.settings)
        table = read(source)
        chosen, why = load_base(base, table.texts, direction=direction, seed=run.seed)
        note(why)
        model = fit_lm(
            table.texts, base=chosen, recipe=changed, epochs=choice.epochs, lr=choice.lr, source=table.source, run=run
        )
        if is_main():
            model.save(out, overwrite=asked.overwrite)
        if is_main() and plots:
            used = replace(chosen_recipe, fit_lm=override(changed, lr=choice.lr))
            plot_language_model(plots, model, used, choice.epochs)
    _finish_language_model(out, model.training)


@command("generate", example='generate wiki-en-small --prompt "The film was" --max-tokens 30')
def generate(
    model: Annotated[str, Argument(help="Language model: a folder, a name (see `models`) or `hf:user/name`.")],
    sampling: Sampling,
    prompt: Annotated[str, Option(help="Beginning of the text.")] = "",
) -> None:
    """Continue a prompt with a language model."""
    from ulmfit_lib.models.language_model import LanguageModel

    print(LanguageModel.from_pretrained(model).generate(prompt, **asdict(sampling)))


@command("evaluate-lm", example="evaluate-lm wiki-en-small --on examples/tiny-test.csv --text review")
def evaluate_lm(
    models: Annotated[list[str], Argument(help="Language models: folders, names (see `models`) or `hf:user/name`.")],
    on: Annotated[Path, Option(help="File of texts that none of the models has read.")],
    text: Text,
    hardest: Annotated[int, Option(min=0, help="Number of texts to show that each model finds hardest.")] = 3,
    known: Annotated[
        Path | None,
        Option(help="File of known texts, to see how many of them surprise the model less than each text does."),
    ] = None,
    as_json: AsJson = False,
    *,
    file: FileFormat,
    compute: Compute,
) -> None:
    """Compare language models by their perplexity per word, and show the texts that each finds hardest."""
    from ulmfit_lib.models.devices import find_device
    from ulmfit_lib.models.language_model import LanguageModel

    table = read_table(on, text=text, file=file)
    before = read_table(known, text=text, file=file).texts if known else None
    results, chosen = [], str(find_device(compute.device))
    for name in models:
        model = LanguageModel.from_pretrained(name)
        score, each = model.to(chosen).score_each(table.texts)
        places = [int(i) for i in (-each).argsort()[:hardest]]
        hard = [{"row": table.rows[i], "perplexity_per_word": each[i], "text": table.texts[i]} for i in places]
        result = {"model": name, **asdict(score), "hardest": hard}
        if before:
            from ulmfit_lib.insight.drift import Novelty

            nats, shares = Novelty.measure(model, before, device=chosen).of(table.texts, device=chosen)
            result |= {"nats_per_word": nats.tolist(), "known_less_surprising": shares.tolist()}
        results.append(result)
    if as_json:
        print(json.dumps(results))
        return
    for result in results:
        print(
            f"{result['model']}: perplexity {result['perplexity_per_word']:.1f} per word, "
            f"{result['perplexity']:.1f} per token, {100 * result['unknown_share']:.1f} % unknown words"
        )
        if before:
            most = sum(share > 0.95 for share in result["known_less_surprising"])
            print(f"  {most} of {counted(len(table), 'text')} are more surprising than 95 % of the known texts")
        if result["hardest"]:
            print("  The texts that it finds hardest, with their perplexity per word:")
        for one in result["hardest"]:
            print(f"  row {one['row']}: {one['perplexity_per_word']:,.0f}  {' '.join(one['text'].split())[:80]}")


def _finish_language_model(out: Path, training: "TrainingRecord") -> None:
    stage, measured = training.last, training.last.validation
    assert measured is not None
    print(
        f"read {counted(stage.texts or 0, 'text')} ({stage.tokens_per_epoch or 0:,} tokens per epoch) "
        f"in {counted(round(stage.seconds or 0), 'second')}; "
        f"perplexity {measured.perplexity:.1f} per token on {measured.tokens:,} held-out tokens "
        f"({100 * measured.unknown_share:.1f} % unknown words)"
    )
    print(f"saved in {out}")
