"""What came later than the rows that a classifier learns from."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ulmfit_lib import TextTable, fit, read_table
from ulmfit_lib.data.joining import join_tables
from ulmfit_lib.data.times import read_times
from ulmfit_lib.errors import DataError
from ulmfit_lib.pipeline.experiment import Scoring


def times(*cells):
    return [one and one.value for one in read_times(cells, rows=range(1, len(cells) + 1), column="when", source="data")]


def test_dates_in_usual_forms_and_numbers_are_read():
    day = 86400.0
    assert (
        times("1970-01-02", "02/01/1970", "2 January 1970", "1970-01-02T00:00:00Z", "1970-01-02 02:00+02:00")
        == [day] * 5
    )
    assert times("02.01.1970", "13.01.1970", None, " ", "NA", "#NV") == [day, 12 * day, *[None] * 4]
    assert times("01/02/1970", "01/13/1970") == [day, 12 * day]
    assert times("2021", 2022, "2022.5") == [2021, 2022, 2022.5]
    assert times(np.datetime64("1970-01-03"), "1970-01-02") == [2 * day, day]


def test_what_is_no_time_is_named(capsys):
    with pytest.raises(DataError, match="data: row 2, column 'when': 'soon' is no time; write dates such as"):
        times("1970-01-02", "soon")
    for of_day in ("12:30", "00:00.0", "3:04:05 pm"):
        with pytest.raises(DataError, match=f"row 2, column 'when': '{of_day}' is no time"):
            times("1970-01-02", of_day)
    with pytest.raises(DataError, match="in '13/02/1970' the day comes first and in '02/13/1970' the month"):
        times("13/02/1970", "02/13/1970")
    assert times("03/02/1970") == [33 * 86400.0]
    assert "is read with the day first" in capsys.readouterr().err


def drifting(n=60):
    """Rows whose words for the labels change in the last fifth."""
    words = {"good": ("lovely", "splendid"), "bad": ("awful", "dreadful")}
    rows = []
    for i in range(n):
        label = "good" if i % 2 else "bad"
        rows.append((f"number {i} was {words[label][i >= 0.8 * n]}", label, f"2024-{1 + i // 28:02}-{1 + i % 28:02}"))
    return [rows[place] for place in np.random.default_rng(0).permutation(n)]


def test_what_is_lost_to_time_is_told(tiny_lm, write_csv, ulmfit, tmp_path):
    file = write_csv(drifting(), header=("text", "label", "day"))
    table = read_table(file, text="text", label="label", time="day")
    found = fit(table, base=tiny_lm, strategy="linear-probe", minutes=1)
    time = found.training.report.time
    assert (time.since, time.rows, time.learnt) == ("2024-02-21", 12, 48)
    assert time.lost == pytest.approx(time.shuffled - time.past) and time.lost > 0.2
    assert (
        "trained on the 48 rows before 2024-02-21 alone, the accuracy on the 12 rows" in found.training.report.sentence
    )
    found.save(tmp_path / "model")
    score = ("evaluate", tmp_path / "model", file, "--text", "text", "--label", "label", "--time-column", "day")
    parts = json.loads(ulmfit(*score, "--json")[1])["periods"]
    assert [part["n"] for part in parts] == [20, 20, 20] and parts[0]["times"] == "2024-01-01 to 2024-01-20"
    assert "2024-02-13 to 2024-03-04, 20 rows: accuracy" in ulmfit(*score)[1]
    code, _, said = ulmfit(*score[:-1], "date")
    assert code == 2 and "no column 'date'" in said


def test_a_labelled_row_needs_a_time_and_tables_keep_theirs(tiny_lm):
    table = replace(
        TextTable.from_lists(["a", "b", "c"], ["x", "y", None]),
        times=read_times(["2020", "", ""], rows=[1, 2, 3], column="when", source="a.csv"),
    )
    with pytest.raises(DataError, match="row 2 has a label and no time"):
        fit(table, base=tiny_lm, scoring=Scoring())
    joined = join_tables(table, [replace(table, texts=["d", "e", "f"])])
    assert len(joined.times) == len(joined) and joined.select([3]).times[0].shown == "2020"
