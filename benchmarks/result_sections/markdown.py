"""What all sections write with: paragraphs, tables, numbers, and where a result was measured."""

import re
import textwrap
from collections.abc import Collection, Iterable, Sequence
from typing import Any

Result = dict[str, Any]
Results = dict[str, Result]  # by the name of the file, without .json

WIDTH = 116


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
    return ", ".join(filter(None, [named, features(result)]))


def _threads(found: re.Match[str]) -> str:
    return f"{found[1]} {'thread' if found[1] == '1' else 'threads'} on {found[2]} cores"


def features(result: Result) -> str:
    """What a CPU can do, as the result names it; empty where it does not."""
    found = result.get("features") or ""
    return found if isinstance(found, str) else ", ".join(found)
