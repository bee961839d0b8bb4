"""Sections about how often answers are right."""

from result_sections.markdown import Result, Results, commands, listed, measured, paragraph, section, table

IMDB = "accuracy-imdb"
METHODS = {
    "tfidf": "TF-IDF + logistic regression",
    "embeddings": "sentence embeddings + logistic regression",
    "untouched": "ULMFiT, base as shipped",
    "forward": "ULMFiT, forward",
    "both": "ULMFiT, both directions",
    "topics": "topics",
    "delivered": "delivered",
}
SETS = {
    "questions": "ten words with a gap, six classes, one of them rare",
    "sentences": "last sentences of reviews, two classes",
    "tweets": "roughened sentences, three classes",
    "products": "the first sixty words of reviews, four classes of ratings",
    "news": "two sentences of articles, four classes",
}


def imdb(results: Results) -> str:
    """Error on IMDb against the number of labels, for all methods."""
    result = results[IMDB]
    summary = result["summary"]
    base = result["base"].removeprefix("base ").partition(":")[0]
    seconds = [one["seconds"] for one in result["reading"].values()]
    most = max(map(int, summary))
    return section(
        "IMDb reviews: error by number of labels",
        paragraph(
            f"The base is `{base}`, which has read: {'; '.join(result['base_has_read'])}. It reads the "
            f"{result['texts']:,} training texts once more, in each direction. Then every method learns from the same "
            f"labelled reviews: {_draws(result)} random draws for each number of labels. The table gives the error "
            f"in % (mean ± standard deviation over the draws) on {result['test_rows']:,} test reviews; "
            f"{result['test_rows_left_out_as_copies']} near copies of training reviews were left out. No model "
            "has read a test review before it is scored. The lowest error of each row is bold."
        ),
        commands(
            "python benchmarks/accuracy.py train.csv test.csv --embeddings all-MiniLM-L6-v2 --json "
            f"--labels {' '.join(summary)}"
        ),
        table(["labels", *METHODS.values()], ([f"{int(n):,}", *_errors(summary[n], list(METHODS))] for n in summary)),
        paragraph(
            "*ULMFiT, base as shipped* is a head on the encoders before they have read these texts; *forward* and "
            "*both directions* are heads on the encoders that have. *Topics* is logistic regression on topics of all "
            "training texts. *Delivered* is what `fit` gives: ULMFiT in both directions, TF-IDF and topics, weighed "
            "together by cross-validation."
        ),
        paragraph(
            f"With {most:,} labels every draw holds the same rows, as there are no more labels; topics are not used "
            "there, because most texts have a label.",
            _comparison(summary, "delivered", "What `fit` delivers"),
            _comparison(summary, "both", "ULMFiT alone, in both directions,"),
            _best_alone(summary),
            _shortfall(result),
        ),
        paragraph(
            f"Reading the texts took {listed(seconds)} seconds, one direction after the other; the rest of the run "
            f"took {result['seconds']:,} seconds and {result['peak_megabytes']:,} MB of memory at its peak. The error "
            "that the ULMFiT paper reports needs the full-size network, all labels and a GPU: see [GPU.md](GPU.md)."
        ),
        measured(IMDB, results=results),
    )


def _draws(result: Result) -> int:
    return len({cell["seed"] for cell in result["cells"]})


def _errors(methods: Result, shown: list[str]) -> list[str]:
    """Cells of one row; the lowest error is bold."""
    best = min(methods[name]["mean"] for name in shown if name in methods)
    cells = []
    for name in shown:
        one = methods.get(name)
        cell = f"{one['mean']:.1f} ± {one['spread']:.1f}" if one else ""
        cells.append(f"**{cell}**" if one and one["mean"] == best else cell)
    return cells


def _comparison(summary: Result, method: str, subject: str) -> str:
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


def _best_alone(summary: Result) -> str:
    better = [
        int(n) for n in summary if min(one["mean"] for one in summary[n].values()) < summary[n]["delivered"]["mean"]
    ]
    if not better:
        return ""
    return f"With {listed(better)} labels one part alone is better than all weighed together."


def _shortfall(result: Result) -> str:
    missed = [
        f"{asked} % with {int(n):,} labels (reached: {100 - result['summary'][n]['delivered']['mean']:.1f} %)"
        for n, asked in result.get("asked_accuracy", {}).items()
        if 100 - result["summary"][n]["delivered"]["mean"] < asked
    ]
    return f"We aimed for an accuracy of {listed(missed)}." if missed else ""


def few_labels(results: Results) -> str:
    """The recipes beside each other, where labels are few."""
    names = sorted(name for name in results if name.startswith("few-labels-"))
    means = {name: next(iter(results[name]["mean"].values())) for name in names}
    labels = listed(dict.fromkeys(int(n) for name in names for n in results[name]["mean"]))
    recipes = list(dict.fromkeys(recipe for name in names for recipe in means[name]))

    def cell(one: Result | None) -> str:
        if not one or "with_tfidf" not in one:
            return f"{one['accuracy']:.1f}" if one else ""
        return f"{one['accuracy']:.1f} ({one['with_tfidf']:.1f}), {one['seconds']:.0f} s"

    header = [
        f"{name.removeprefix('few-labels-')}, from `{results[name]['base']}`, {len(results[name]['cells'])} draws"
        for name in names
    ]
    shown = {
        "tfidf": "TF-IDF + logistic regression",
        "features": "`features`: the head alone",
        "cpu": "`cpu`, the default",
    }
    return section(
        "Few labels: which recipe?",
        paragraph(
            f"Each recipe learns from {labels} labelled rows, forward only, from the base as shipped. It is scored on "
            f"{listed(dict.fromkeys(results[name]['valid_rows'] for name in names))} other rows of the training file, "
            "as these runs are for choosing defaults. The table gives the accuracy in %, in brackets the accuracy "
            "when weighed evenly with TF-IDF, and the seconds that learning took."
        ),
        commands(
            *(
                f"python benchmarks/few_labels.py {one['train']} --base {one['base']} --seeds {len(one['cells'])} "
                f"--recipes {' '.join(recipe for recipe in means[name] if recipe != 'tfidf')} --json"
                for name, one in ((name, results[name]) for name in names)
            )
        ),
        table(
            ["recipe", *header],
            (
                [shown.get(recipe, f"`{recipe}`"), *(cell(means[name].get(recipe)) for name in names)]
                for recipe in recipes
            ),
        ),
        paragraph(
            "The `cpu` recipe is MultiFiT's with one change: the head sees the mean of every layer beside the mean, "
            "the maximum and the last output of the top layer. The labels of single sentences are those of their whole "
            "reviews, so that many cannot be told from the sentence. We also tried pseudo-labels on unlabelled "
            "reviews, whitened features, and counting the words that TF-IDF does not know; none of them helped."
        ),
        measured(*names, results=results),
    )


def label_budget(results: Results) -> str:
    """How well `label-budget` foresees what more labels bring."""
    result = results["label-budget-imdb"]
    return section(
        "Label budget: forecast and outcome",
        paragraph(
            f"`label-budget` sees {result['known']:,} labelled IMDb reviews and forecasts the accuracy with "
            f"{result['target']:,}. Then the classifier learns from that many and is scored on "
            f"{result['test_rows']:,} test reviews. The base is `{result['base']}`, which has not read these texts. "
            f"On average the forecast is off by {100 * result['mean_off_by']:.1f} points."
        ),
        commands(
            f"python benchmarks/label_budget.py train.csv test.csv --known {result['known']} "
            f"--target {result['target']} --json"
        ),
        table(
            ["draw", "forecast accuracy, %", "accuracy found, %", "off by, points"],
            (
                [str(one["seed"] + 1), *(f"{100 * one[key]:.1f}" for key in ("foreseen", "found", "off_by"))]
                for one in result["seeds"]
            ),
        ),
        measured("label-budget-imdb", results=results),
    )
