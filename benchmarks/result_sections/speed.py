"""The section about speed beside plain fastai: one part per kind of CPU, one file each."""

import re

from result_sections.markdown import (
    Result,
    Results,
    commands,
    features,
    listed,
    measured,
    number,
    paragraph,
    section,
    table,
)

JOBS = {
    "tokenize_cold": "tokenise, two processes each, nothing cached",
    "tokenize_cached": "tokenise the same texts again, from the cache",
    "lm_train": "train a language model",
    "classifier_train": "train a classifier, all layers",
    "head_epochs": "train the head alone, after the first epoch",
    "predict_bulk": "predict many texts, the same network",
    "predict_bulk_small": "predict many texts with `wiki-en-small`, forward",
    "predict_one": "predict one short text",
    "cold_predict": "`predict` on one text, in a new process",
    "help": "`--help`",
}
NOT_COMPARED = {
    "predict_bulk_small": "not compared: another network than fastai's",
    "cold_predict": "compared in *predict one short text*",
    "help": "",
}
STEPS = {
    "tokenize": "tokenise",
    "fit_lm": "`fit-lm`, a tiny network",
    "features_and_head": "features and a head",
    "predict": "`predict`",
}


def speed(results: Results) -> str:
    """Every speed*.json that there is, each below a heading that names its CPU."""
    names = sorted(name for name in results if name.startswith("speed"))
    return section(
        "Speed beside plain fastai",
        paragraph(
            "Each job is done by both libraries on the same texts, in turns, on as many threads as the last line of "
            "each part says. Rates and times are medians; the range of the ratio is its lowest and highest round. The "
            "networks have fastai's default sizes and the same weights unless the row says otherwise. The last column "
            "says how far the two libraries' results agree."
        ),
        *(block for name in names for block in _one_cpu(name, results)),
        _what_limits_it(),
    )


def _one_cpu(name: str, results: Results) -> list[str]:
    result = results[name]
    rows = {key: one for key, one in result.items() if isinstance(one, dict) and {"ours", "check"} <= set(one)}
    names = [*(key for key in JOBS if key in rows), *(key for key in rows if key not in JOBS)]
    compared = {key: rows[key] for key in names if "even" not in rows[key]}
    asked = any("asked" in one for one in compared.values())
    header = ["job", "ours", "fastai", "unit", "ratio (lowest to highest)"]
    header += [*(["asked for"] if asked else []), "agreement"]
    shown = (
        [
            JOBS.get(key, key),
            number(one["ours"]),
            number(one["fastai"]) if "fastai" in one else "",
            one["unit"],
            _ratio(one),
            *([str(one.get("asked") or "")] if asked else []),
            NOT_COMPARED.get(key, readable(one["check"])),
        ]
        for key, one in compared.items()
    )
    cpu, workload = result["machine"].partition(",")[0], result.get("workload", "full")
    return [
        f"### {cpu} with {features(result)}" if features(result) else f"### {cpu}",
        paragraph(
            f"The texts are {result['texts']}.",
            "The ratios asked for are the goals for this kind of CPU; for `--help` it is seconds." if asked else "",
        ),
        commands(
            "python benchmarks/speed.py imdb.csv"
            + (f" --cpu {result['cpu']['kind']}" if result.get("cpu", {}).get("switched_off_by") else "")
            + (f" --workload {workload}" if workload != "full" else "")
            + " --json"
        ),
        table(header, shown, text_columns=(0, 3, len(header) - 1)),
        _limits(result, compared),
        _any_length(rows.get("predict_any_length")),
        _growth(result.get("growth")),
        measured(name, results=results),
    ]


def _ratio(row: Result) -> str:
    if "ratio" not in row:
        return ""
    ratio, low, high = (f"{one:.2f}" if one < 10 else number(one) for one in (row["ratio"], *row["spread"]))
    return f"{ratio} ({low} to {high})"


def readable(check: str) -> str:
    """What a row's check says, without Python's punctuation.

    >>> readable("perplexity: {'ours': 375.4, 'fastai': 396.7}")
    'perplexity: ours 375.4, fastai 396.7'
    """
    plain = re.sub(r"'(\w+)': ", r"\1 ", check).translate(str.maketrans("", "", "{}"))
    return re.sub(r"(\d) of (\d+)$", r"\1 on \2 texts", plain.removesuffix(": True"))


def _limits(result: Result, rows: dict[str, Result]) -> str:
    """How much of what a bare matrix product reaches the jobs reach."""
    shares = [
        [JOBS.get(key, key), number(one["products_per_second"] / 1e9), f"{one['share_of_limit']:.2f}"]
        for key, one in rows.items()
        if "share_of_limit" in one
    ]
    if not shares:
        return ""
    bare = [one["limits"] for one in (result, *rows.values()) if "limits" in one]
    reached = [
        f"{kind.removesuffix('_gflops')} {listed(sorted({limits[kind] for limits in bare if kind in limits}))}"
        for kind in ("float32_gflops", "bfloat16_gflops", "int8_gflops")
        if any(kind in limits for limits in bare)
    ]
    layers = rows.get("lm_train", {}).get("bare_lstm_and_softmax")
    return "\n\n".join(
        [
            paragraph(
                "How near to the machine's limit: the share is that of a bare matrix product in the same run, in "
                "bfloat16 to train and in int8 to predict where the CPU has them, else in float32."
            ),
            table(["job", "billion operations per second", "share of the limit"], shares),
            paragraph(
                f"Bare matrix products reached, in billion operations per second: {'; '.join(reached)}."
                if reached
                else "",
                f"PyTorch's own LSTM layers under a full softmax, with nothing else to do, trained on {number(layers)} "
                "tokens/s."
                if layers
                else "",
            ),
        ]
    )


def _any_length(row: Result | None) -> str:
    if not row:
        return ""
    return paragraph(
        f"Texts of very different lengths are predicted at {number(row['ours'])} {row['unit']}, texts of one length at "
        f"{number(row['even'])} ({readable(row['check'])})."
    )


def _growth(row: Result | None) -> str:
    """Seconds by the number of texts."""
    if not row:
        return ""
    head = paragraph(
        f"How the time grows with the number of texts, on generated texts of {row['words_per_text']} words. A power "
        "of 1 means in proportion to that number; less means that a fixed part still shows."
    )
    rows = (
        [STEPS.get(key, key), *(f"{one:.2f}" for one in spent), f"{row['power'][key]:.2f}"]
        for key, spent in row["seconds"].items()
    )
    return head + "\n\n" + table(["job", *(f"{n:,} texts, {row['unit']}" for n in row["texts"]), "power"], rows)


def _what_limits_it() -> str:
    """Why the rows are no faster, as far as profiles tell."""
    reasons = {
        "Training": "a CPU multiplies in bfloat16 only so much faster than in float32, and a CPU without bfloat16 "
        "multiplies in float32 as fastai does. Most of a step is spent in the LSTM's own matrix products, the larger "
        "part in the backward pass. The last windows of a batch of classifier texts hold few texts, and products of "
        "few rows wait for the weights.",
        "Predicting": "where the CPU multiplies bytes, the recurrence takes many small steps, which keep it from the "
        "rate of one large product. Sums of bytes are exact, so that a text's probabilities are the same alone and "
        "among other texts.",
        "One text": "nearly all the time goes into products with a single row, which wait for the weights.",
        "A new process": "importing torch, spaCy and pandas takes most of the time.",
        "Tokenising without a cache": "each process has to learn every word that no text had before.",
    }
    lines = (f"- {paragraph(f'**{name}**: {why}')}".replace("\n", "\n  ") for name, why in reasons.items())
    return "\n".join(["### What limits it", "", *lines])
