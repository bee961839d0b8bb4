"""How faithful explanations are, which texts are worth labelling, and which label errors are found."""

from result_sections.markdown import Results, commands, measured, paragraph, section, table

METHODS = {
    "occlusion": "`explain`: exact linear parts, occlusion of ULMFiT",
    "gradients": "exact linear parts, integrated gradients of ULMFiT",
    "whole": "leave one word out of the whole",
    "random": "random words",
}
STRATEGIES = {
    "random": "random",
    "margin": "least margin",
    "typical": "typical throughout",
    "typical then uncertain": "`suggest-labels`",
}


def explanations(results: Results) -> str:
    """Comprehensiveness and sufficiency by method, on each set of texts."""
    names = sorted(name for name in results if name.startswith("explanations-"))
    rows = [
        [
            results[name]["name"],
            METHODS[one["method"]],
            f"{one['comprehensiveness']:.3f}",
            f"{one['comprehensiveness_error']:.3f}",
            f"{one['sufficiency']:.3f}",
            f"{one['sufficiency_error']:.3f}",
            f"{one['seconds']:.2f}",
        ]
        for name in names
        for one in results[name]["methods"]
    ]
    shares = ", ".join(f"{100 * share:g}" for share in results[names[0]]["shares"])
    sizes = "; ".join(f"{one['texts']} of {one['name']}" for one in (results[name] for name in names))
    return section(
        "Do explanations name the words that count?",
        paragraph(
            f"A classifier, blended as `fit` does, learnt 500 labels and was explained on test texts ({sizes}). The "
            f"best {shares} % of a text's words are replaced by unknown ones together: comprehensiveness is the mean "
            "probability of the answer that this costs, the higher the better. Then all other words are replaced: "
            "sufficiency is what that costs, the lower the better; below 0 the answer grows surer (ERASER; the means "
            "over these shares are its AOPC). No method is judged by its own definition: words were taken out one by "
            "one to find them, and together to judge them. The columns after the scores are standard errors."
        ),
        commands(
            *(
                f"python benchmarks/explanations.py {one}-train.csv {one}-test.csv --text text --label label "
                f"--name {one} --texts {results[name]['texts']} --json"
                for name in names
                for one in [results[name]["name"]]
            )
        ),
        table(
            ["texts", "method", "comprehensiveness", "±", "sufficiency", "±", "seconds a text"],
            rows,
            text_columns=(0, 1),
        ),
        measured(*names, results=results),
    )


def label_loop(results: Results) -> str:
    """Accuracy by labels bought, and planted label errors found."""
    names = sorted(name for name in results if name.startswith("label-loop-"))
    found = [results[name] for name in names]
    parts = [
        paragraph(
            "Labels are bought some at a time, by several ways to choose the texts; accuracy in % on test rows (mean "
            "± standard deviation over seeds). `suggest-labels` takes typical texts up to 50 labels, then uncertain "
            "ones that differ; its random share is left out here. In brackets stands the share of labels that a way "
            "saves against random draws to the same accuracy; it says little where accuracy hardly rises."
        ),
        commands(
            *(
                f"python benchmarks/label_loop.py {one['name']}-train.csv {one['name']}-test.csv --text text "
                f"--label label --name {one['name']} --pool {one['pool']} --tested {one['test_rows']} "
                f"--sizes {' '.join(map(str, one['sizes']))} --json"
                for one in found
            )
        ),
    ]
    for one in found:
        most, reached = one["sizes"][-1], max(one["suggestions"]["random"]["mean"])
        rows = [
            [
                STRATEGIES[name],
                *(
                    _cell(mean, spread, 1 - size / most if mean > reached else share, over=mean > reached)
                    for size, mean, spread, share in zip(
                        one["sizes"], way["mean"], way["sd"], way["saved"], strict=True
                    )
                ),
            ]
            for name, way in one["suggestions"].items()
        ]
        parts += [
            paragraph(f"**{one['name']}**, {one['seeds']} seeds, labels bought:"),
            table(["texts chosen by", *map(str, one["sizes"])], rows),
        ]
    parts += [
        paragraph(
            f"Planted label errors ({100 * found[0]['planted']:g} % of {found[0]['checked']} labels): the share of "
            "them, in %, among as many rows as were changed, the most doubtful first. `check-labels` goes by the plain "
            "out-of-fold probability of a label; cleanlab's order comes from the same probabilities."
        ),
        table(
            ["texts", "`check-labels`", "cleanlab"],
            [[one["name"], *(_share(one["label_errors"][name]) for name in ("loss", "cleanlab"))] for one in found],
        ),
    ]
    return section("Which texts to label, and which labels are wrong", *parts, measured(*names, results=results))


def _cell(mean: float, spread: float, saved: float | None, *, over: bool) -> str:
    """``over``: random draws of the most labels do not come so far."""
    told = f" ({'over ' if over else ''}{100 * saved:.0f} %)" if saved and round(saved, 2) else ""
    return f"{100 * mean:.1f} ± {100 * spread:.1f}{told}"


def _share(found: dict[str, float]) -> str:
    return f"{100 * found['mean']:.0f} ± {100 * found['sd']:.0f}"
