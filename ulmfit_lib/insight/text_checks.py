"""What can be wrong with texts: encoding, language, the wrong column, copies, and labels that leak into them."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from shlex import quote

import numpy as np

from ulmfit_lib.data.table import TextTable
from ulmfit_lib.insight.findings import BASE, COPIES, DATA, ENCODING, LANGUAGE, LEAK, WRONG_COLUMN, Finding
from ulmfit_lib.models.bases import MOST_UNKNOWN

MAX_BROKEN = 0.02  # share of texts whose encoding looks broken
MAX_COPIES = 0.5  # share of texts that are copies of others
MIN_WORDS = 2.0  # of a text, in the median
MAX_CODES = 0.5  # share of texts that are numbers or codes
LEAK_ACCURACY = 0.95  # of a label predicted by an id alone, and share of the class's rows that hold it
MIN_LEAK_ROWS = 10
CODE = re.compile(r"(?=\S*\d)[\w.:/#@+-]+")  # an id, a number, a date
REPLACEMENT = "\ufffd"


def check_encoding(texts: Sequence[str]) -> Finding | None:
    """Texts that were read with another encoding than they were written with."""
    broken = [text for text in texts if REPLACEMENT in text or _misread(text)]
    if len(broken) <= MAX_BROKEN * len(texts):
        return None
    shown = next((part for part in broken[0].split() if not part.isascii()), broken[0])[:40]
    repaired = _misread(shown)
    meant = f", which should read {repaired!r}" if repaired else ""
    return Finding(
        ENCODING,
        DATA,
        f"{len(broken):,} of {len(texts):,} texts were written in one encoding and read in another: "
        f"for example {shown!r}{meant}.",
        "Export the file again as UTF-8, or name its encoding with --encoding (cp1252 and latin-1 are common).",
    )


def _misread(text: str) -> str:
    """What a text that is UTF-8 read as Windows-1252 or Latin-1 should be; "" if it is not one."""
    if text.isascii():
        return ""
    for encoding in ("cp1252", "latin-1"):
        parts = [part for part in text.split() if not part.isascii()]
        for part in parts:
            try:
                repaired = part.encode(encoding).decode("utf-8")
            except UnicodeError:
                continue
            if len(repaired) < len(part):
                return repaired
    return ""


def check_language(unknown_share: float, base: str = "") -> Finding | None:
    """Texts in a language that the base has not read."""
    if unknown_share <= MOST_UNKNOWN:
        return None
    return Finding(
        LANGUAGE,
        BASE,
        f"The language model{base and f' {base}'} does not know {100 * unknown_share:.0f} % of the words: "
        "the texts are in another language, or hardly texts at all.",
        "Make a base of their language with `pretrain --language`, and give it to `fit` with --base.",
    )


def check_column(table: TextTable, others: Mapping[str, Sequence[str]] | None = None) -> Finding | None:
    """A column that holds no texts, and perhaps another column of the file that does."""
    sample = table.texts[:1000]
    codes, words = _share_of_codes(sample), float(np.median([len(text.split()) for text in sample]))
    distinct = len(set(sample)) / len(sample)
    if words >= MIN_WORDS and codes <= MAX_CODES and (distinct > 0.05 or len(sample) < 50):
        return None
    better = {
        name: float(np.mean([len(cell.split()) for cell in cells[:1000]] or [0]))
        for name, cells in (others or {}).items()
        if _share_of_codes(cells) <= MAX_CODES
    }
    best = max(better, key=better.__getitem__, default=None)
    what = f"The column of the texts hardly holds texts: for example {sample[0][:40]!r}"
    if best is not None and better[best] > max(MIN_WORDS, words):
        return Finding(
            WRONG_COLUMN,
            DATA,
            f"{what}, while the column {best!r} has {better[best]:.0f} words a row.",
            f"Name that column: --text {quote(best)}.",
        )
    return Finding(WRONG_COLUMN, DATA, f"{what}.", "Name the column of the texts with --text, and look at a few rows.")


def _share_of_codes(cells: Sequence[str]) -> float:
    return float(np.mean([all(CODE.fullmatch(word) for word in cell.split()) for cell in cells[:1000]] or [False]))


def check_copies(table: TextTable) -> Finding | None:
    """Texts that are nearly all copies of a few."""
    different = len(set(table.groups.tolist()))
    if 1 - different / len(table) <= MAX_COPIES:
        return None
    return Finding(
        COPIES,
        DATA,
        f"Only {different:,} of {len(table):,} texts are different; the others are copies or near copies of them, "
        "such as forms filled in or templates.",
        "Count and score different texts only: keep one of each group, and collect texts that differ.",
    )


def check_leak(table: TextTable) -> Finding | None:
    """Ids, numbers or dates in the texts of labelled rows that tell the label: a model would learn them alone.

    Of tags, nothing is looked for: a text has several.
    """
    if not table.kind.exclusive:
        return None
    labels = table.targets()
    counts = Counter(labels)
    rows_with: dict[str, Counter[str]] = defaultdict(Counter)
    forms: dict[str, set[str]] = defaultdict(set)
    numbers: list[float] = []
    for text, label in zip(table.texts, labels, strict=True):
        codes = CODE.findall(text.lower())
        for stem in {re.sub(r"\d+", "#", code) for code in codes}:
            rows_with[stem][label] += 1
            forms[stem] |= {code for code in codes[:3] if re.sub(r"\d+", "#", code) == stem}
        first = re.search(r"\d+", codes[0]) if codes else None
        numbers.append(float(first[0]) if first else np.nan)
    for stem, found in rows_with.items():
        label, rows = found.most_common(1)[0]
        covered = rows >= max(MIN_LEAK_ROWS, LEAK_ACCURACY * counts[label])
        if covered and len(forms[stem]) > 1 and rows >= LEAK_ACCURACY * found.total() and stem.strip("#"):
            return _leak(
                f"{rows:,} of the {counts[label]:,} texts labelled {label!r} hold {min(forms[stem])!r} or the "
                f"like, and nearly no others do"
            )
    return _number_leak(np.array(numbers), labels)


def _number_leak(numbers: np.ndarray, labels: Sequence[str]) -> Finding | None:
    """Whether the first number in the texts, by a few thresholds, tells the label."""
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.tree import DecisionTreeClassifier

    has = ~np.isnan(numbers)
    truth = np.array(labels)[has]
    counts = Counter(truth.tolist())
    if has.mean() < LEAK_ACCURACY or len(counts) < 2 or min(counts.values()) < MIN_LEAK_ROWS:
        return None
    tree = DecisionTreeClassifier(max_leaf_nodes=2 * len(counts), random_state=0)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    right = float(cross_val_score(tree, numbers[has][:, None], truth, cv=folds).mean())
    if right < LEAK_ACCURACY or right - max(counts.values()) / len(truth) < 0.1:
        return None
    return _leak(
        f"the first number in a text alone tells the label of {100 * right:.0f} % of them, as ids or dates do "
        "where rows are sorted by label"
    )


def _leak(how: str) -> Finding:
    return Finding(
        LEAK,
        DATA,
        f"The labels leak into the texts: {how}.",
        "Leave that column out of --text, or cut it out of the texts: a model would learn it and nothing else.",
    )
