"""What the templates of the results page can use: how numbers are written, and what takes more than a loop to find."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Result = dict[str, Any]
Results = dict[str, Result]  # by the name of the file, without .json
FEATURES = {  # of CPUs, by the names that results give them
    "avx2": "AVX2",
    "avx512": "AVX-512",
    "avx512f": "AVX-512",
    "avx512_vnni": "VNNI",
    "avx512_bf16": "bfloat16",
    "avx_vnni": "AVX-VNNI",
    "amx_int8": "AMX int8",
    "amx_bf16": "AMX bfloat16",
}
SETS = {
    "imdb": "film reviews, good or bad",
    "sentences": "the last sentence of each, good or bad",
    "products": "their openings, four ratings",
    "tweets": "rough sentences, three opinions",
    "news": "two sentences of articles, four topics",
    "questions": "what kind of word is missing, six kinds",
    "kinds": "sentences about things of 60 kinds",
}
PUBLIC_SETS = {  # by their folders' names among the development sets
    "bbc_news": "BBC news: 5 topics",
    "finance_sentences": "Financial PhraseBank: 3 opinions",
    "hwu64_intents": "HWU64: 64 requests",
    "lounge_stars": "Skytrax lounges: 1 to 5 stars",
    "medical_passages": "MedQuAD: 14 kinds of question",
    "newsgroups20": "20 Newsgroups",
    "product_sentences": "Sentiment Labelled Sentences: good or bad",
    "reuters_topics": "Reuters-21578: 20 tags",
    "sms_spam": "SMS Spam Collection",
    "so_emotions": "Stack Overflow: 7 emotions",
    "tweet_irony": "TweetEval: irony",
    "unhealthy_attributes": "Unhealthy Comments: 6 tags",
    "unhealthy_comments": "Unhealthy Comments: healthy or not",
}


def number(value: float) -> str:
    """Three digits, or all those before the decimal point where there are more.

    >>> number(1345000.0), number(12.354), number(0.1444)
    ('1,345,000', '12.4', '0.144')
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def listed(items: Iterable[object]) -> str:
    """An English list.

    >>> listed([50, 100, 200])
    '50, 100 and 200'
    """
    *most, last = [f"{item:,}" if isinstance(item, int) else str(item) for item in items]
    return f"{', '.join(most)} and {last}" if most else last


def commas(value: float, digits: int | None = None) -> str:
    """With commas between thousands."""
    return f"{value:,}" if digits is None else f"{value:,.{digits}f}"


FILTERS: dict[str, Callable[..., object]] = {
    "number": number,
    "listed": listed,
    "commas": commas,
    "f": lambda value, digits: f"{value:.{digits}f}",
    "percent": lambda share, digits: f"{100 * share:.{digits}f}",
    "get_in": lambda key, mapping: mapping[key],
}


def functions(results: Results) -> dict[str, Any]:
    """By their names in templates."""

    def starting_with(start: str) -> list[str]:
        return sorted(name for name in results if name.startswith(start))

    def few_label_means(names: Iterable[str]) -> dict[str, Result]:
        return {name: next(iter(results[name]["mean"].values())) for name in names}

    def few_label_numbers(names: Iterable[str]) -> list[int]:
        return list(dict.fromkeys(int(n) for name in names for n in results[name]["mean"]))

    def embedded_models() -> Results:
        found = {name.removeprefix("embedded/"): results[name] for name in starting_with("embedded/")}
        return dict(sorted(found.items(), key=lambda one: len(one[1]["training"]["stages"])))

    return {
        "results": results,
        "sets": SETS,
        "public_sets": PUBLIC_SETS,
        "starting_with": starting_with,
        "few_label_means": few_label_means,
        "few_label_numbers": few_label_numbers,
        "embedded_models": embedded_models,
        "measured": lambda *names: measured(results, *names),
        **{function.__name__: function for function in PLAIN},
    }


def anchor(title: str) -> str:
    """Where GitHub puts a heading.

    >>> anchor("Few labels: which recipe?")
    'few-labels-which-recipe'
    """
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def bold(text: str, chosen: bool) -> str:
    """In bold type, if chosen."""
    return f"**{text}**" if chosen else text


def keys_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """All keys of some rows, in the order in which they come."""
    return list(dict.fromkeys(key for row in rows for key in row))


def rows_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a Markdown table.

    >>> print(rows_of([{"name": "a", "n": 1}]))
    | name | n |
    |---|---:|
    | a | 1 |
    """
    names = keys_of(rows)
    lines = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
    head, *body = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([head, "|---|" + "---:|" * (len(names) - 1), *body])


def measured(results: Results, *names: str) -> str:
    """Where, with what and when: the machine, the versions, the date and the files of these results."""
    found = [results[name] for name in names]
    machines = dict.fromkeys(machine(one) for one in found)
    versions = dict.fromkeys(", ".join(f"{name} {v}" for name, v in one["versions"].items()) for one in found)
    dates = dict.fromkeys(one["date"] for one in found)
    files = listed(f"[{name}.json](results/{name}.json)" for name in names)
    notes = [f"A note in {name}.json says: {results[name]['note']}. " for name in names if "note" in results[name]]
    return (
        f"Measured on {' and on '.join(machines)}, with {'; '.join(versions)}, on {listed(sorted(dates))}. "
        f"{''.join(notes)}All values: {files}."
    )


def machine(result: Result) -> str:
    """The machine of a result, with the features of its CPU where the result names them."""
    named = re.sub(r"(\d+) threads of (\d+) cores", _threads, result["machine"])
    return f"{named} ({features(result)})" if features(result) else named


def _threads(found: re.Match[str]) -> str:
    return f"{found[1]} {'thread' if found[1] == '1' else 'threads'} on {found[2]} cores"


def features(result: Result) -> str:
    """The CPU's features that were in use, where the result names them; else empty.

    >>> features({"cpu": {"kind": "avx512", "features": ["avx2", "avx512f", "avx512_vnni"]}})
    'AVX2, AVX-512 and VNNI'
    >>> features({"cpu": {"kind": "avx2", "features": ["avx512f"], "switched_off_by": {"ATEN_CPU_CAPABILITY": "avx2"}}})
    'AVX2 only (the others switched off)'
    >>> features({"cpu": {"kind": "avx2", "features": ["avx2"]}})
    'AVX2 only'
    """
    cpu = result.get("cpu")
    if not cpu:
        return ""
    if cpu.get("switched_off_by"):
        return f"{FEATURES.get(cpu['kind'], cpu['kind'])} only (the others switched off)"
    named = [FEATURES.get(feature, feature) for feature in cpu["features"] or [cpu["kind"]]]
    return f"{named[0]} only" if named == [FEATURES["avx2"]] else listed(named)


def beside_tfidf(summary: Result, method: str, subject: str) -> str:
    """With how many labels a method has a lower, and a higher error than TF-IDF."""
    ahead = [n for n in summary if summary[n][method]["mean"] < summary[n]["tfidf"]["mean"]]
    behind = [n for n in summary if summary[n][method]["mean"] > summary[n]["tfidf"]["mean"]]
    if not behind:
        by = [f"{summary[n]['tfidf']['mean'] - summary[n][method]['mean']:.1f}" for n in ahead]
        return f"{subject} has a lower error than TF-IDF at every number of labels, by {listed(by)} points."
    before, after = (
        f"{listed(map(int, group))} labels" if group else "no number of labels" for group in (ahead, behind)
    )
    return f"{subject} has a lower error than TF-IDF with {before}, and **a higher one with {after}**."


def where_one_member_is_best(summary: Result) -> str:
    """With how many labels one part has a lower error than all together, a sentence."""
    better = [
        int(n) for n in summary if min(one["mean"] for one in summary[n].values()) < summary[n]["delivered"]["mean"]
    ]
    return f"With {listed(better)} labels one part alone is better than all weighed together." if better else ""


def below_what_was_asked(result: Result) -> str:
    """Which accuracies were aimed for and not reached, a sentence."""
    reached = {n: 100 - one["delivered"]["mean"] for n, one in result["summary"].items()}
    missed = [
        f"{asked} % with {int(n):,} labels (reached: {reached[n]:.1f} %)"
        for n, asked in result.get("asked_accuracy", {}).items()
        if reached[n] < asked
    ]
    return f"We aimed for an accuracy of {listed(missed)}." if missed else ""


def by_cell(summary: Sequence[Result]) -> dict[tuple[int, str], Results]:
    """Rows by labels and set, then by peer."""
    cells: dict[tuple[int, str], Results] = {}
    for row in summary:
        cells.setdefault((row["labels"], row["set"]), {})[row["peer"]] = row
    return cells


def by_base(rows: Sequence[Result]) -> dict[str, dict[int, Result]]:
    """Rows by base, then by labels."""
    cells: dict[str, dict[int, Result]] = {}
    for row in rows:
        cells.setdefault(row["base"], {})[row["labels"]] = row
    return cells


def few_label_recipes(means: Mapping[str, Result]) -> list[str]:
    """All recipes, in the order in which they come."""
    return list(dict.fromkeys(recipe for one in means.values() for recipe in one))


def labels_saved(result: Result, strategy: str, place: int) -> str:
    """In brackets, the share of labels that a way to choose saves; ``over`` where random draws do not come so far."""
    way = result["suggestions"][strategy]
    over = way["mean"][place] > max(result["suggestions"]["random"]["mean"])
    saved = 1 - result["sizes"][place] / result["sizes"][-1] if over else way["saved"][place]
    return f" ({'over ' if over else ''}{100 * saved:.0f} %)" if saved and round(saved, 2) else ""


def speed_rows(result: Result, jobs: Iterable[str]) -> Results:
    """The jobs that were compared, in the order of ``jobs``."""
    rows = {key: one for key, one in result.items() if isinstance(one, dict) and {"ours", "check"} <= set(one)}
    names = [*(key for key in jobs if key in rows), *(key for key in rows if key not in jobs)]
    return {key: rows[key] for key in names if "even" not in rows[key]}


def speed_ratio(row: Result) -> str:
    """With its lowest and highest round."""
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


def bare_products(result: Result, rows: Results) -> str:
    """What bare matrix products reached, a sentence."""
    bare = [one["limits"] for one in (result, *rows.values()) if "limits" in one]
    reached = [
        f"{kind} {listed(sorted({limits[f'{kind}_gflops'] for limits in bare if f'{kind}_gflops' in limits}))}"
        for kind in ("float32", "bfloat16", "int8")
        if any(f"{kind}_gflops" in limits for limits in bare)
    ]
    return f"Bare matrix products reached, in billion operations per second: {'; '.join(reached)}." if reached else ""


def bytes_sent(network: Result, processes: int) -> float:
    """That a process sends a step, and as many that it receives: a ring's all-reduce of float32 gradients."""
    return float(network["parameters"] * 4 * 2 * (processes - 1) / processes)


PLAIN = (
    anchor,
    bold,
    keys_of,
    rows_of,
    features,
    beside_tfidf,
    where_one_member_is_best,
    below_what_was_asked,
    by_cell,
    by_base,
    few_label_recipes,
    labels_saved,
    speed_rows,
    speed_ratio,
    readable,
    bare_products,
    bytes_sent,
)
