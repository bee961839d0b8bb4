"""Every function that takes texts or a table checks what it is given, and says what to do."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ulmfit_lib import TextTable, fit, fit_classifier, fit_lm
from ulmfit_lib.errors import DataError
from ulmfit_lib.insight.doctor import diagnose_data
from ulmfit_lib.insight.drift import find_drift
from ulmfit_lib.insight.label_errors import check_label_errors
from ulmfit_lib.pipeline.zero_labels import fit_by_names
from ulmfit_lib.reporting.page import write_report
from ulmfit_lib.stages.pretrain import pretrain

TEXTS = ["the film was great", "the film was terrible"]
FRAME = pd.DataFrame({"id": [1, 2], "review": TEXTS})
WITH_TEXTS = {
    "LanguageModel.embed": lambda lm, _, texts: lm.embed(texts),
    "LanguageModel.score": lambda lm, _, texts: lm.score(texts),
    "classifier.embed": lambda _, classifier, texts: classifier.embed(texts),
    "classifier.predict": lambda _, classifier, texts: classifier.predict(texts),
    "classifier.evaluate": lambda _, classifier, texts: classifier.evaluate(texts, ["positive", "negative"]),
    "TextTable.from_lists": lambda _, __, texts: TextTable.from_lists(texts, ["positive", "negative"]),
    "fit_lm": lambda lm, _, texts: fit_lm(texts, base=lm),
    "pretrain": lambda _, __, texts: pretrain(texts),
    "fit_by_names": lambda lm, _, texts: fit_by_names(texts, ["a", "b"], base=lm),
    "find_drift": lambda lm, _, texts: find_drift(texts, TEXTS, lm=lm, reader=lm),
}


@pytest.mark.parametrize("door", list(WITH_TEXTS))
@pytest.mark.parametrize("texts", ["one text", FRAME, {"a": "b"}, None, [1, 2], ["fine", None]])
def test_what_is_no_list_of_texts_is_refused_in_a_sentence(tiny_lm, tiny_classifier, door, texts):
    with pytest.raises(DataError, match="needed"):
        WITH_TEXTS[door](tiny_lm, tiny_classifier, texts)


@pytest.mark.parametrize("texts", [FRAME[["review"]], FRAME["review"][::-1], np.array(TEXTS), iter(TEXTS)])
def test_a_column_of_texts_is_taken_for_its_texts(tiny_lm, texts):
    assert tiny_lm.embed(texts).shape[0] == 2


def test_labels_are_a_list():
    with pytest.raises(DataError, match="labels: a single string, where a list of labels is needed"):
        TextTable.from_lists(TEXTS, "ab")


def test_one_text_is_explained_at_a_time(tiny_classifier):
    with pytest.raises(DataError, match="of the type list, where one text is needed"):
        tiny_classifier.explain(TEXTS)


def test_where_a_table_is_needed_a_frame_gets_the_way_to_make_one(tiny_lm, tiny_classifier):
    for door in (
        lambda: fit(FRAME, base=tiny_lm),
        lambda: fit_classifier(FRAME, lm=tiny_lm),
        lambda: check_label_errors(FRAME, base=tiny_lm),
        lambda: diagnose_data(FRAME, base=tiny_lm),
        lambda: write_report(tiny_classifier, "report.html", data=FRAME),
    ):
        with pytest.raises(
            DataError, match=r"of the type DataFrame.*read_table\(data, text=..., label=...\) makes one"
        ):
            door()
    assert not Path("report.html").exists()
