"""What predicting takes without PyTorch."""

from result_sections.markdown import Result, Results, commands, measured, number, paragraph, section, table

LIGHT = "light"
NAMES = {
    "light": "without PyTorch, float32",
    "light-int8": "without PyTorch, int8",
    "torch": "with PyTorch",
    "fastai": "fastai's `load_learner`",
}


def light(results: Results) -> str:
    """Size, start, memory and speed of every side, by network."""
    result = results[LIGHT]
    asked = result["asked"]
    return section(
        "Predicting without PyTorch",
        paragraph(
            "Each side answers in a process of its own, in turns; figures are medians. A cold start is the time from "
            "the start of the process to its first answer. Memory is the most that was resident. One text has 20 "
            f"words, many are {result['many']:,} of {result['words_per_text']:,} words on average "
            f"({result['texts']}). Installed is all that the side requires. PyTorch may compute in "
            "bytes or bfloat16, so that its probabilities differ from those in float32, as those of int8 do. "
            "The head that fastai can share has not been trained: its probabilities lie near a half, where labels "
            "change most easily.",
            f"Asked for: a cold start below {asked['cold_seconds']:g} s, {asked['peak_mb']:,} MB of memory, "
            f"{asked['installed_mb']:,} MB installed and {asked['ms_per_text']:g} ms a text.",
        ),
        commands("python benchmarks/light.py --model models/reviews --json"),
        *(block for name, sides in result["networks"].items() for block in _network(name, sides, result)),
        measured(LIGHT, results=results),
    )


def _network(name: str, sides: Result, result: Result) -> list[str]:
    header = [
        "",
        "installed, MB",
        "model, MB",
        "cold start, s",
        "memory, MB",
        "ms a text",
        "texts/s",
        "largest difference",
        "labels changed",
    ]
    rows = (
        [
            NAMES[side],
            number(result["installed_mb"][side.partition("-")[0]]),
            number(row["model_mb"]),
            number(row["cold_seconds"]),
            number(row["peak_mb"]),
            number(row["ms_per_text"]),
            number(row["texts_per_second"]),
            "" if side == "light" else f"{row['largest_difference']:g}",
            "" if side == "light" else f"{row['labels_changed']} of {row['compared']}",
        ]
        for side, row in sides.items()
    )
    return [paragraph(f"The network: {name}."), table(header, rows)]
