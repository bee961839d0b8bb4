"""Ours beside its peers, and what a report is worth."""

from result_sections.markdown import Results, commands, measured, paragraph, section, table

PEERS, VERDICTS, ZERO = "peers", "verdicts", "zero-labels"
NAMES = {
    "tfidf": "TF-IDF",
    "teacher": "sentence embeddings",
    "static": "static embeddings",
    "fasttext": "fastText",
    "setfit": "SetFit",
    "ours": "`fit`",
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


def peers(results: Results) -> str:
    """Accuracy and seconds of each peer on the same draws."""
    result = results[PEERS]
    by_cell: dict[tuple[int, str], dict[str, dict[str, float]]] = {}
    for row in result["summary"]:
        by_cell.setdefault((row["labels"], row["set"]), {})[row["peer"]] = row
    found = [peer for peer in NAMES if any(peer in cell for cell in by_cell.values())]

    def shown(cell: dict[str, dict[str, float]], peer: str) -> str:
        return f"{cell[peer]['accuracy']:.1f} ({cell[peer]['seconds']:.0f} s)" if peer in cell else ""

    rows = []
    for (labels, name), cell in sorted(by_cell.items()):
        draws = max(int(row["draws"]) for row in cell.values())
        rows.append([name, f"{labels:,}", str(draws), *(shown(cell, peer) for peer in found)])
    sizes = ", ".join(
        f"{NAMES[peer]} {max(cell[peer]['megabytes'] for cell in by_cell.values() if peer in cell):,.0f} MB"
        for peer in found
    )
    return section(
        "Beside its peers",
        paragraph(
            "Accuracy in % on test rows, and the seconds that learning took, each the mean over the draws; all learnt "
            f"the same rows with {result['threads']} thread. Sentence embeddings are all-MiniLM-L6-v2 under logistic "
            "regression; static embeddings are distilled from it with model2vec; `fit` ran with its defaults. Its base "
            "was taught by the same all-MiniLM-L6-v2, which has read a billion pairs of texts of the open web, and by "
            "ratings written into reviews that are not among these. `imdb` is scored on test reviews, which no model "
            "has read; of the reviews that `sentences`, `products` and `tweets` are made from the base has read the "
            "texts, without labels or ratings, and of the articles of `news`, `questions` and `kinds` nothing. "
            "Of the classes of `imdb64` and `sentences64` one has 64 % of the rows. SetFit and fastText learnt one "
            "draw only. The cells of `fit` at 100 labels, of `imdb` and the unbalanced sets excepted, and that of "
            "`questions` at 500 are of its present defaults. The others are older: it had two minutes for any short "
            "texts and seldom found the time to fine-tune. Other work ran on the machine meanwhile, so that the "
            "seconds are upper bounds."
        ),
        paragraph(
            "These sets are stand-ins that `benchmarks/stand_ins.py` makes, and were measured with the version of "
            "`benchmarks/peers.py` of commit 5f22b81. Today's version measures on labelled sets of other sources:"
        ),
        commands("python benchmarks/peers.py --sets DATA/dev --json"),
        "![Accuracy against seconds, by number of labels](results/peers.png)",
        paragraph("Small points are sets of texts, large ones their means; `kinds` is left out of the picture."),
        table(["texts", "labels", "draws", *(NAMES[peer] for peer in found)], rows),
        paragraph(f"On the disk: {sizes}."),
        measured(PEERS, results=results),
    )


def peers_in_short(results: Results) -> str:
    """The one table of the README."""
    shown = {"tfidf": NAMES["tfidf"], "teacher": NAMES["teacher"], "ours": NAMES["ours"]}
    cells: dict[tuple[str, int], dict[str, float]] = {}
    for row in results[PEERS]["summary"]:
        cells.setdefault((row["set"], row["labels"]), {})[row["peer"]] = row["accuracy"]
    rows = []
    for name in SETS:
        for (one, labels), cell in sorted(cells.items()):
            if one == name and (labels == 100 or name == "imdb" or name == "kinds"):
                best = max(cell[peer] for peer in shown)
                said = (f"**{cell[peer]:.1f}**" if cell[peer] == best else f"{cell[peer]:.1f}" for peer in shown)
                rows.append([SETS[name], f"{labels:,}", *said])
    return table(["texts", "labels", *shown.values()], rows)


def verdicts(results: Results) -> str:
    """Reported scores beside true ones."""
    result = results[VERDICTS]
    shown = ["labels", "reports", "gap", "optimism", "coverage", "says_beats", "truly_ahead", "wrong"]
    rows = [[str(row[name]) for name in shown] for row in result["summary"]]
    return section(
        "What a report is worth",
        paragraph(
            "`fit` scores every labelled row by classifiers that have not learnt its label. Here the truth is known: "
            "what is delivered is scored on all the rows of the same file that were not drawn. `gap` is the mean "
            "distance between reported and true accuracy in points, `optimism` its mean with its sign, `coverage` the "
            "share of 95 % intervals that hold the truth, `says_beats` the share of reports that say that TF-IDF + "
            "logistic regression is beaten (p < 0.05), `truly_ahead` the share where that is so, and `wrong` the share "
            "of reports that say the opposite of the truth; all in %."
        ),
        commands("python benchmarks/verdicts.py sets --labels 50 100 200 500 --draws 10 --rows 2000 --json"),
        table([name.replace("_", " ") for name in shown], rows),
        measured(VERDICTS, results=results),
    )


def zero_labels(results: Results) -> str:
    """How good a classifier is that knows only the names of its classes."""
    result = results[ZERO]
    rows = (
        [
            one["set"],
            f"{one['classes']}",
            f"{one['rows']:,}",
            "opinion" if one["by"] == "opinion" else "names",
            f"{one['right']:.1f}",
            f"{one['commonest']:.1f}",
            f"{one['chance']:.1f}",
        ]
        for one in result["results"]
    )
    return section(
        "Without a label",
        paragraph(
            "`fit --classes` makes a classifier from the names of its classes alone. The table gives the share of test "
            "rows that it has right, in %, beside always answering with the commonest class and drawing by lot. "
            "Positive, negative and neutral are told by the opinion that the base has learnt; of film reviews, whose "
            "written ratings taught it, it knows most. Other names stand for what they mean: the classes of "
            "`questions` are about the form of a missing word, and their names do not help."
        ),
        commands("python benchmarks/zero_labels.py sets --json"),
        table(["texts", "classes", "rows", "told by", "right", "commonest", "by lot"], rows, text_columns=(0, 3)),
        measured(ZERO, results=results),
    )
