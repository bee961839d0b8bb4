"""What a search for settings gains."""

from result_sections.markdown import Results, commands, measured, paragraph, section, table
from result_sections.peers import SETS

TUNING = "tuning"


def tuning(results: Results) -> str:
    """`tune` beside the defaults that it compares with, and beside `fit`."""
    result = results[TUNING]
    cells: dict[str, dict[str, dict[str, object]]] = {}
    for cell in result["cells"]:
        cells.setdefault(cell["set"], {})[cell["side"]] = cell
    rows = []
    for name, sides in cells.items():
        told = sides["tune"]
        scores = (f"{side['accuracy']:.1f} ({side['log_loss']:.3f})" for side in sides.values())
        settings = ", ".join(
            f"{key} {value:.2g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in told["settings"].items()  # type: ignore[attr-defined]
        )
        rows.append([SETS[name], *scores, f"{told['trials']}", "yes" if told["gained"] else "no", settings])
    names = " ".join(cells)
    return section(
        "What tuning gains",
        paragraph(
            f"`tune` has {result['minutes']:g} minutes and {result['labels']:,} labelled rows. Beside it stand the "
            "defaults that it compares with, which are a head on the frozen encoder, and `fit` with its default time. "
            "Shown are the accuracy in % and the log loss on test rows that none of them has seen. Where `tune` "
            "does not say that it gained something, it delivers the defaults, and the last column holds what came "
            "next."
        ),
        commands(
            f"python benchmarks/tuning.py sets --names {names} --labels {result['labels']} --minutes "
            f"{result['minutes']:g} --json"
        ),
        table(
            ["texts", "defaults", "`fit`", "`tune`", "trials", "says it gained", "best settings"],
            rows,
            text_columns=(0, 5, 6),
        ),
        measured(TUNING, results=results),
    )
