"""Sections about memory and about what goes wrong."""

from result_sections.markdown import Results, commands, measured, paragraph, section, table

JOBS = {"tokenize": "tokenise", "fit-lm": "`fit-lm`", "predict": "`predict`", "pretrain": "`pretrain`"}


def memory(results: Results) -> str:
    """Peaks of memory by the size of the input."""
    kinds = {"memory-csv": "CSV", "memory-dump": "MediaWiki dump"}
    rows = [
        [
            kinds[name],
            JOBS.get(one["job"], one["job"]),
            f"{one['megabytes']:,} MB",
            f"{one['tokens']:,}" if "tokens" in one else "",
            f"{one['peak_megabytes']:,} MB",
            f"{one['peak_megabytes_of_a_worker']:,} MB",
            f"{one['seconds']:,}",
        ]
        for name in kinds
        for one in sorted(results[name]["results"], key=lambda one: list(JOBS).index(one["job"]))
    ]
    return section(
        "Memory by the size of the input",
        paragraph(
            "Files may be larger than memory. Each job runs in a process of its own on generated texts, with tiny "
            "networks, so that the figures are the library's own. The peaks are those of the process and of one of "
            "its workers."
        ),
        commands(
            *(
                f"python benchmarks/memory.py {results[name]['kind']} --json --megabytes "
                + " ".join(dict.fromkeys(str(one["megabytes"]) for one in results[name]["results"]))
                for name in kinds
            )
        ),
        table(["input", "job", "size", "tokens", "peak", "peak of a worker", "seconds"], rows, text_columns=(0, 1)),
        measured(*kinds, results=results),
    )


def reliability(results: Results) -> str:
    """Killed processes, damaged models, nasty inputs."""
    kills, damage, inputs = (results[f"reliability-{name}"] for name in ("kills", "corruptions", "inputs"))
    runs = ", ".join(f"`{command}` {n}" for command, n in kills["runs"].items())
    rows = [
        [
            "training processes killed at random moments, with a checkpoint after every batch",
            f"{kills['kills']:,} kills, {kills['while_writing']} of them while a file was being written",
            f"all {sum(kills['runs'].values())} runs were resumed to the end; {len(kills['different'])} of them ended "
            f"with weights other than those of an undisturbed run; a broken model was found {kills['broken']} times",
        ],
        [
            "files of saved models damaged, then loaded",
            f"{damage['cases']:,}",
            f"{damage['refused']:,} refused with one sentence, {damage['same']:,} predict the same as before, "
            f"{damage['failed']:,} failed; "
            f"at most {damage['worst_seconds']:.1f} s and {damage['worst_megabytes']:,} MB more than loading takes",
        ],
        [
            "tables of nasty cells, and broken files, given to `predict`",
            f"{inputs['cases']:,}",
            f"{inputs['predicted']:,} predicted, every row; {inputs['refused']:,} refused with one sentence; "
            f"{inputs['failed']:,} failed or over the limits; at most {inputs['worst_seconds']:.1f} s and "
            f"{inputs['worst_megabytes']:,} MB",
        ],
    ]
    return section(
        "Reliability",
        paragraph(
            "Each row is a command in `benchmarks/reliability/`; `make reliability` runs them all, and `make test` "
            f"runs their short form. The kills hit these runs: {runs}. A case counts as failed if a process crashes "
            "or shows a traceback, and also if it takes over a minute or too much memory.",
            *(
                f"One table was over these limits: all of its {one['rows']} rows were predicted, but that took "
                f"{one['seconds']:.0f} seconds and {one['megabytes']:,} MB."
                for one in inputs["examples"]
                if one["result"] == "predicted"
            ),
        ),
        commands("make reliability"),
        table(["what was done", "how often", "outcome"], rows, text_columns=(0, 1, 2)),
        measured("reliability-kills", "reliability-corruptions", "reliability-inputs", results=results),
    )
