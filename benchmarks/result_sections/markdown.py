"""What all sections write with: paragraphs, tables, numbers, and where a result was measured."""

import re
import textwrap
from collections.abc import Collection, Iterable, Sequence
from typing import Any

Result = dict[str, Any]
Results = dict[str, Result]  # by the name of the file, without .json

WIDTH = 116
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


def section(title: str, *blocks: str) -> str:
    """A heading and what stands below it; blocks that are empty are left out."""
    return "\n\n".join([f"## {title}", *(block for block in blocks if block)])


def paragraph(*sentences: str) -> str:
    """Sentences as one paragraph, wrapped; empty ones are left out."""
    text = " ".join(sentence for sentence in sentences if sentence)
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def commands(*lines: str) -> str:
    """Command lines, ready to be copied."""
    return "\n".join(["```sh", *lines, "```"])


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, text_columns: Collection[int] = (0,)) -> str:
    """A Markdown table; ``text_columns`` are aligned to the left, the others to the right.

    >>> print(table(["name", "n"], [["a", "1"]]))
    | name | n |
    |---|---:|
    | a | 1 |
    """
    marks = ["---" if i in text_columns else "---:" for i in range(len(header))]
    lines = [f"| {' | '.join(header)} |", f"|{'|'.join(marks)}|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


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


def measured(*names: str, results: Results) -> str:
    """Where, with what and when: the machine, the versions, the date and the files of these results."""
    found = [results[name] for name in names]
    machines = dict.fromkeys(machine(one) for one in found)
    versions = dict.fromkeys(", ".join(f"{name} {v}" for name, v in one["versions"].items()) for one in found)
    dates = dict.fromkeys(one["date"] for one in found)
    files = listed(f"[{name}.json](results/{name}.json)" for name in names)
    return paragraph(
        f"Measured on {' and on '.join(machines)}, with {'; '.join(versions)}, on {listed(sorted(dates))}.",
        *(
            f"A note in {name}.json says: {one['note']}."
            for name, one in zip(names, found, strict=True)
            if "note" in one
        ),
        f"All values: {files}.",
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
    """
    cpu = result.get("cpu")
    if not cpu:
        return ""
    if cpu.get("switched_off_by"):
        return f"{FEATURES.get(cpu['kind'], cpu['kind'])} only (the others switched off)"
    return listed(FEATURES.get(feature, feature) for feature in cpu["features"] or [cpu["kind"]])
