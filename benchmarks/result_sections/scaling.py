"""What each stage costs, what an engine costs, and what that makes of large jobs: measurements, then arithmetic."""

from result_sections.markdown import Result, Results, commands, listed, measured, number, paragraph, section, table

SCALING, ENGINES, READERS, LIGHT, SPEED = "scaling", "engines", "readers", "light", "speed-avx512"
PROCESSES = "several-processes"
STAGES = {
    "read": "read a CSV",
    "tokenize": "tokenise",
    "pretrain": "`pretrain`, an epoch",
    "teach": "`teach`, an epoch, without what the teacher costs",
    "fit-lm": "`fit-lm`, an epoch",
    "fit-classifier": "`fit-classifier`, an epoch of the whole network",
    "heads": "`fit`: read once by the frozen network, then a head",
    "predict-float32": "`predict`, exported as float32",
    "predict-int8": "`predict`, exported as int8",
}
SIDES = {"none": "`predict`", "ray": "`predict --engine ray`"}
PREDICTS = {"predict-float32": "light", "predict-int8": "light-int8"}  # whose memory light.py measured
WIKIPEDIA, REVIEWS = 4.5e9, 10e6  # tokens; texts
CORES, RANKS = (1, 16, 256), (2, 8, 64)
GPU_RATE = 500_000  # tokens a second, assumed: the lower end of what GPU.md expects
LINKS = {1: 100e9, 8: 100e9, 64: 25e9}  # bytes a second that a GPU sends, by their number, assumed
MILLION, MINUTE, HOUR, DAY = 1e6, 60, 3600, 86400


def stages(results: Results) -> str:
    """Seconds of a core, and memory, by stage."""
    return section(
        "What each stage costs",
        paragraph(
            "Each stage runs in a process of its own, with one thread, in one direction: `wiki-en-small` where a "
            "language model is pretrained or taught, `general-en-small` elsewhere. The texts are made up, of 230 words "
            "on average. Seconds are those of a CPU. Both directions take twice as long, several epochs as many times. "
            "Memory is the most that was resident; that of `predict` is from `benchmarks/light.py`, whose processes "
            "load nothing else."
        ),
        commands("python benchmarks/scaling.py --json"),
        stage_costs(results),
        measured(SCALING, results=results),
    )


def engines(results: Results) -> str:
    """Scoring on Ray beside one process."""
    result = results[ENGINES]
    kinds = {
        "reviews": "reviews, `general-en-small` in both directions, int8",
        "short": "short texts, next to no network",
    }
    rows = [
        [
            f"{kinds[kind]}, {result[kind]['words_per_text']} words",
            SIDES[side["engine"]],
            f"{side['cores']}",
            number(side["cpu_seconds_a_start"]),
            number(side["cpu_milliseconds_a_text"]),
            number(side["start_seconds"]),
            number(side["texts_per_second"]),
        ]
        for kind in kinds
        for side in result[kind]["sides"]
    ]
    sizes = listed(f"{listed(result[kind]['texts'])} ({name.partition(',')[0]})" for kind, name in kinds.items())
    options = " ".join(f"--{kind} {' '.join(map(str, result[kind]['texts']))}" for kind in kinds)
    return section(
        "Scoring on an engine",
        paragraph(
            "The same exported classifier scores the same Parquet file by `predict` and by `predict --engine ray`, "
            f"whose workers have one core each. Files have {sizes} rows. The difference of two files gives what a "
            "text costs, and what is left is the start. Seconds of CPU are those of all processes, with Ray's own."
        ),
        commands(f"python benchmarks/engines.py {options} --rounds {result['rounds']} --json"),
        table(
            ["texts", "scored by", "cores", "start, s of CPU", "a text, ms of CPU", "start, s", "texts/s"],
            rows,
            text_columns=(0, 1),
        ),
        engine_cost(results),
        measured(ENGINES, results=results),
    )


def engine_cost(results: Results) -> str:
    """What the engine adds to a start and to a row, in a sentence."""
    found = {
        (kind, side["engine"], side["cores"]): side
        for kind in ("reviews", "short")
        for side in results[ENGINES][kind]["sides"]
    }
    start = found["reviews", "ray", 1]["cpu_seconds_a_start"] - found["reviews", "none", 1]["cpu_seconds_a_start"]
    text = {place: number(side["cpu_milliseconds_a_text"]) for place, side in found.items()}
    return paragraph(
        f"With one worker, Ray adds {number(start)} seconds of CPU to a start. A review takes "
        f"{text['reviews', 'ray', 1]} ms of CPU instead of {text['reviews', 'none', 1]}, a short text "
        f"{text['short', 'ray', 1]} ms instead of {text['short', 'none', 1]}. With two workers, a review takes "
        f"{text['reviews', 'ray', 2]} ms."
    )


def processes(results: Results) -> str:
    """Training on one process and on two."""
    result = results[PROCESSES]
    return section(
        "Training on several processes",
        paragraph(
            f"`{result['base']}` (forward) goes on with {result['tokens']:,} tokens of made-up reviews, all groups "
            "unfrozen, in turns on each side. Every process takes the recipe's batch, so that two take steps of twice "
            f"as many rows, and sum gradients of {result['megabytes_per_step']} MB a step (gloo). The time is that of "
            "the training, without the start of the processes; the middle one of the rounds counts."
        ),
        commands(f"python benchmarks/several_processes.py --rounds {result['rounds']} --json"),
        process_rates(results),
        measured(PROCESSES, results=results),
    )


def process_rates(results: Results) -> str:
    """Measured."""
    sides = results[PROCESSES]["sides"]
    rows = [
        [
            f"{side['processes']}",
            f"{side['threads']}",
            f"{side['batch']}",
            number(side["tokens_per_second"]),
            " to ".join(map(number, side["spread"])),
            f"{side['tokens_per_second'] / sides[0]['tokens_per_second']:.2f}",
        ]
        for side in sides
    ]
    header = ["processes", "threads of each", "rows a step", "tokens/s", "in all rounds", "times the first"]
    return table(header, rows, text_columns=())


def readers(results: Results) -> str:
    """Our reader beside Polars and DuckDB."""
    result = results[READERS]
    sizes = " ".join(map(str, result["megabytes"]))
    return section(
        "Reading a file larger than memory",
        paragraph(
            "Each reads the same CSV, and the same Parquet file, to its end in blocks of some thousands of rows, and "
            "gives every text as a string of Python, on one core. Seconds are those of the CPU. Memory is the most "
            "that was resident, with what the reader loads."
        ),
        commands(
            "pip install polars duckdb",
            f"python benchmarks/readers.py --megabytes {sizes} --rounds {result['rounds']} --json",
        ),
        reading(results),
        measured(READERS, results=results),
    )


def reading(results: Results) -> str:
    """Rows a second, and how memory grows with the file."""
    names = {"ours": "`predict`'s own", "polars": "Polars, streaming", "duckdb": "DuckDB"}
    kinds = {"csv": "CSV", "parquet": "Parquet"}
    small, large = results[READERS]["megabytes"]
    rows = [
        [kinds[side["kind"]], names[side["reader"]], number(side["rows_per_second"]), *map(number, side["peak_mb"])]
        for side in results[READERS]["sides"]
    ]
    header = ["file", "read by", "rows/s", f"memory at {small} MB of CSV, MB", f"at {large} MB"]
    outcomes = {"named": "names the line", "refused": "refuses the file", "read": "reads it"}
    damaged = (
        [f"CSV with {kind} in a line", *(outcomes[done[reader]] for reader in names)]
        for kind, done in results[READERS]["damaged"].items()
    )
    ours = next(side["rows_per_second"] for side in results[READERS]["sides"] if side["reader"] == "ours")
    scoring = next(side for side in results[ENGINES]["reviews"]["sides"] if side["engine"] == "none")
    return "\n\n".join(
        [
            table(header, rows, text_columns=(0, 1)),
            table(["damage", *names.values()], damaged, text_columns=range(4)),
            paragraph(
                f"Our reader takes {number(MILLION / ours)} microseconds of a core for a review in a CSV; to score it "
                f"in both directions, in int8, takes {number(scoring['cpu_milliseconds_a_text'])} milliseconds."
            ),
        ]
    )


def stage_costs(results: Results) -> str:
    """Measured."""
    forward = next(iter(results[LIGHT]["networks"].values()))
    rows = (
        [
            STAGES[name],
            number(one["seconds_per_million_tokens"]),
            number(MILLION / one["seconds_per_million_tokens"]),
            number(forward[PREDICTS[name]]["peak_mb"] if name in PREDICTS else one["peak_mb"]),
        ]
        for name, one in results[SCALING]["stages"].items()
    )
    return table(["stage", "seconds of a core per million tokens", "tokens/s", "memory, MB"], rows)


def step_volume(results: Results) -> str:
    """Arithmetic: what a process sends in data-parallel training."""
    rows = []
    for name, one in results[SCALING]["networks"].items():
        sizes = f"{name}, {one['embedding']} / {one['hidden']} / {one['layers']}, {one['vocabulary']:,} words"
        for ranks in RANKS:
            steps = MILLION / (one["tokens_a_step"] * ranks)
            rows.append(
                [
                    sizes,
                    f"{one['parameters'] / MILLION:.1f}",
                    f"{ranks}",
                    number(_sent(one, ranks) / MILLION),
                    number(steps),
                    number(steps * _sent(one, ranks) / 1e9),
                ]
            )
    header = [
        "network",
        "million parameters",
        "processes",
        "MB a step",
        "steps per million tokens",
        "GB per million tokens",
    ]
    return table(header, rows)


def wikipedia(results: Results) -> str:
    """Arithmetic: 4.5 G tokens read by the large network."""
    large, rows = results[SCALING]["networks"]["large"], []
    for gpus, link in LINKS.items():
        steps = WIKIPEDIA / (large["tokens_a_step"] * gpus)
        reading = WIKIPEDIA / (GPU_RATE * gpus) / MINUTE
        sending = steps * _sent(large, gpus) / link / MINUTE
        rows.append([f"{gpus}", number(steps), number(reading), number(sending), number(reading + sending)])
    return table(["GPUs", "steps", "minutes of reading", "minutes of sending", "both, one after the other"], rows)


def wikipedia_on_cores(results: Results) -> str:
    """Arithmetic, in a sentence."""
    stages, rate = results[SCALING]["stages"], results[SPEED]["lm_train"]["ours"]
    tokenize, small = (
        WIKIPEDIA / MILLION * stages[name]["seconds_per_million_tokens"] for name in ("tokenize", "pretrain")
    )
    return paragraph(
        f"On one core, at the measured costs, tokenising it takes {number(tokenize / HOUR)} hours, an epoch of the "
        f"small network {number(small / DAY)} days, and one of the large network {number(WIKIPEDIA / rate / DAY)} days."
    )


def ten_million(results: Results) -> str:
    """Arithmetic: reviews scored."""
    rows = []
    for name in PREDICTS:
        one = results[SCALING]["stages"][name]
        seconds = REVIEWS * one["tokens"] / one["texts"] * one["seconds_per_million_tokens"] / MILLION
        for ways, factor in (("one direction", 1), ("both directions", 2)):
            hours = [number(factor * seconds / cores / HOUR) for cores in CORES]
            rows.append([f"{name.removeprefix('predict-')}, {ways}", *hours])
    return table(["exported as", *(f"hours, {cores} {'core' if cores == 1 else 'cores'}" for cores in CORES)], rows)


def _sent(network: Result, processes: int) -> float:
    """Bytes that a process sends a step, and as many that it receives: a ring's all-reduce of float32 gradients."""
    return float(network["parameters"] * 4 * 2 * (processes - 1) / processes)
