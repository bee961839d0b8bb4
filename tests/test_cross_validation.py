import numpy as np
import pytest

from ulmfit_lib import DataError, OptionError, TextTable, fit
from ulmfit_lib.stages.fit_lm import fit_lm


@pytest.fixture
def table(fruit):
    words = ["apple", "pear", "plum", "cherry", "quince", "fig", "grape", "melon"]
    draw = np.random.default_rng(0)
    texts = [f"{text} {' '.join(draw.choice(words, 12))} number{i}" for i, text in enumerate(fruit.texts)]
    more = [f"no label here {' '.join(draw.choice(words, 12))}" for _ in range(30)]
    return TextTable.from_lists(texts + more, [*fruit.labels, *[None] * 30])


@pytest.fixture
def read(monkeypatch):
    """What each language model read, in order."""
    found = []

    def remember(texts, **options):
        found.append(set(texts))
        return fit_lm(texts, **options)

    monkeypatch.setattr("ulmfit_lib.pipeline.fit.fit_lm", remember)
    return found


def test_every_row_is_scored_once_and_kept(tiny_lm, table, read):
    classifier = fit(table, base=tiny_lm, folds=3, lm_epochs=1, device="cpu")
    report = classifier.training["report"]
    found = report["out_of_fold"]
    probabilities, targets = np.array(found["probabilities"]), np.array(found["targets"])
    assert found["rows"] == list(range(1, 49)) and targets.tolist() == [i % 2 == 0 for i in range(48)]
    assert report["folds"] == 3 and report["held_out_rows"] == 48
    assert report["delivered"]["accuracy"] == pytest.approx((probabilities.argmax(1) == targets).mean())
    assert report["baseline"]["accuracy"] == 1 and "On 48 held-out rows" in report["sentence"]
    assert read == [set(table.texts[48:]), set(table.texts)]  # none with a label; and all, for what is delivered


def test_no_language_model_reads_the_fold_it_is_scored_on(tiny_lm, table, read):
    copy = table.texts[0].upper()
    whole = TextTable.from_lists([*table.texts, copy], [*table.labels, None])
    fit(whole, base=tiny_lm, direction="forward", folds=2, strategy="fine-tune", lm_epochs=1, device="cpu")
    first, second, last = read
    labelled = set(table.texts[:48])
    assert (labelled - first) | (labelled - second) == labelled and not (labelled - first) & (labelled - second)
    assert [copy in texts for texts in (first, second)] == [table.texts[0] in texts for texts in (first, second)]
    assert last == set(whole.texts)


def test_folds_that_cannot_be_made_are_said(tiny_lm, fruit):
    rare = TextTable.from_lists([*fruit.texts, "x", "y"], [*fruit.labels, "odd", "odd"])
    with pytest.raises(DataError, match="'odd' has 2 rows, too few for 3 folds"):
        fit(rare, base=tiny_lm, folds=3)
    with pytest.raises(OptionError, match="at least 2"):
        fit(fruit, base=tiny_lm, folds=1)
