import csv
import json

import numpy as np
import pytest

from ulmfit_lib import TextTable, read_table
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.data.joining import join_tables
from ulmfit_lib.errors import DataError
from ulmfit_lib.insight.label_errors import out_of_fold_by, suspect
from ulmfit_lib.insight.suggestions import AUDIT, TYPICAL, UNCERTAIN, suggest_labels
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.labels.decision import DecisionRule
from ulmfit_lib.labels.links import softmax
from ulmfit_lib.pipeline.candidates import Candidate
from ulmfit_lib.pipeline.out_of_fold import UlmfitPredictions
from ulmfit_lib.training.run import Run


@pytest.fixture(scope="module")
def groups():
    """Four groups of vectors, of 40, 30, 20 and 10."""
    random = np.random.default_rng(0)
    corners = np.repeat(np.eye(4, 8, dtype=np.float32), [40, 30, 20, 10], axis=0)
    vectors = corners + 0.05 * random.standard_normal((100, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_typical_texts_come_from_each_group_the_largest_first(groups):
    found = suggest_labels(groups, n=4, audit_share=0)
    assert {one.why for one in found} == {TYPICAL}
    assert [groups[one.place].argmax() for one in found] == [0, 1, 2, 3]


def test_a_group_that_has_a_label_waits(groups):
    found = suggest_labels(groups, n=3, labelled=[0, 1, 2], audit_share=0)
    assert not {one.place for one in found} & {0, 1, 2}


def test_with_many_labels_the_uncertain_texts_come_from_different_groups(groups):
    said = np.full((100, 2), [0.95, 0.05])
    said[[3, 4, 5, 6, 45, 75, 95]] = 0.5
    found = suggest_labels(groups, n=4, probabilities=said, known=500, audit_share=0)
    assert {one.why for one in found} == {UNCERTAIN}
    assert len({groups[one.place].argmax() for one in found}) == 4


def test_the_audit_share_is_drawn_from_all_texts_without_a_label(groups):
    found = suggest_labels(groups, n=50, labelled=range(10), audit_share=0.4)
    assert len(found) == len({one.place for one in found}) == 50
    assert sum(one.why == AUDIT for one in found) == 20 and min(one.place for one in found) >= 10
    with pytest.raises(DataError, match="every text has a label"):
        suggest_labels(groups, n=1, labelled=range(100))


def test_doubtful_labels_come_worst_first_with_the_label_to_expect():
    table = TextTable.from_lists(["a", "b", "c"], ["x", "y", "x"])
    probabilities = np.array([[0.4, 0.6], [0.3, 0.7], [0.1, 0.9]])
    found = suspect(table, probabilities, probabilities.argmax(1))
    assert [(one.row, one.label, one.expected) for one in found] == [(3, "x", "y"), (1, "x", "y")]
    ruled = Classes().decide(probabilities, DecisionRule("macro-f1", (0.7, 0.0)))
    assert [one.row for one in suspect(table, probabilities, ruled)] == [3]


def test_a_part_that_only_guesses_does_not_hide_the_wrong_labels():
    random = np.random.default_rng(0)
    truth, noise = random.integers(0, 2, 100), random.normal(size=100)
    labels = np.where(np.arange(100) < 5, 1 - truth, truth)  # the first five are wrong

    class Known(Candidate):
        def features(self, texts, run):
            return {}

        def predict_ulmfit(self, train, test, run):
            return UlmfitPredictions({None: probabilities(np.where(truth, 2.0, -2.0), test)})

        def predict_linear(self, train, test, run):
            return {"baseline": probabilities(2 * noise, test)}

    def probabilities(log_odds, test):
        side = log_odds[np.array(test.rows) - 1]
        return softmax(np.stack([-side, side], 1))

    words = random.permutation(100).astype(str).tolist()
    table = TextTable.from_lists(words, labels.astype(str).tolist())
    found = out_of_fold_by(Known(lm=None), table, Run(seed=0, device="cpu"))
    doubted = suspect(table, found.probabilities[ENSEMBLE], found.decided)
    assert sorted(one.row for one in doubted[:5]) == [1, 2, 3, 4, 5]


def test_filled_in_rows_replace_the_same_texts_without_a_label_or_with_another():
    old = TextTable.from_lists(["a", "b", "c", "d"], ["x", None, "x", None])
    new = TextTable.from_lists(["b", "c", "d"], ["y", "y", None])
    joined = join_tables(old, [new])
    assert dict(zip(joined.texts, joined.labels, strict=True)) == {"a": "x", "b": "y", "c": "y", "d": None}
    assert len(set(joined.rows)) == len(joined)


def test_suggestions_are_filled_in_audited_and_taken_back(ulmfit, tiny_classifier, fruit, write_csv, tmp_path):
    tiny_classifier.save(tmp_path / "m")
    rows = [
        (text, label if i < 4 else "") for i, (text, label) in enumerate(zip(fruit.texts, fruit.labels, strict=True))
    ]
    pool, out = write_csv(rows), tmp_path / "to label.csv"
    columns = ["--text", "review", "--label", "sentiment"]
    code, _, said = ulmfit("suggest-labels", tmp_path / "m", pool, *columns, "--n", 10, "--out", out)
    assert code == 0 and "--audit" in said
    assert f"ulmfit fit {pool} --also '{out}' --text review" in said  # a shell takes it as it stands
    truth = dict(zip(fruit.texts, fruit.labels, strict=True))
    with out.open(encoding="utf-8") as file:
        suggested = list(csv.DictReader(file))
    assert len(suggested) == 10 and {one["sentiment"] for one in suggested} == {""}
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, suggested[0])
        writer.writeheader()
        writer.writerows([{**one, "sentiment": truth[one["review"]]} for one in suggested])
    code, scores, _ = ulmfit("evaluate", tmp_path / "m", out, *columns, "--audit", "--json")
    assert code == 0 and json.loads(scores)["n"] == 2
    first, again = (read_table(path, text="review", label="sentiment") for path in (pool, out))
    joined = join_tables(first, [again])
    assert len(joined) == 48 and len(joined.labelled()) == 14


def test_before_the_first_label_a_language_model_finds_typical_texts(ulmfit, lm_folder, reviews, write_csv):
    pool = write_csv([(text,) for text in reviews.texts[:60]], header=("review",))
    columns = ["--text", "review", "--label", "sentiment"]
    code, out, _ = ulmfit("suggest-labels", lm_folder, pool, *columns, "--n", 6, "--audit-share", 0)
    found = list(csv.DictReader(out.splitlines()))
    assert code == 0 and {one["why"] for one in found} == {TYPICAL} and len({one["review"] for one in found}) == 6


@pytest.mark.slow
def test_check_labels_finds_a_planted_error(ulmfit, lm_folder, fruit, write_csv):
    rows = list(zip(fruit.texts, fruit.labels, strict=True))
    rows[8] = rows[8][0], "negative"
    columns = ["--text", "review", "--label", "sentiment", "--base", lm_folder]
    code, out, _ = ulmfit("check-labels", write_csv(rows), *columns, "--json")
    first = json.loads(out)[0]
    assert code == 0 and first["row"] == 9 and first["expected"] == "positive"


@pytest.mark.slow
def test_doctor_and_check_labels_know_tags_and_the_command_that_is_printed_reads_them(ulmfit, lm_folder, tmp_path):
    words = {"price": "great great", "staff": "terrible terrible"}
    rows = []
    for i in range(64):
        tags = [tag for bit, tag in enumerate(words) if i >> bit & 1]
        rows.append((f"number {i} : the film was {' and '.join(words[tag] for tag in tags) or 'all'}", tags))
    rows[9] = rows[9][0], ["staff"]  # it speaks of the price
    data, out = tmp_path / "tags.jsonl", tmp_path / "doubtful.csv"
    data.write_text("".join(json.dumps({"text": text, "tags": tags}) + "\n" for text, tags in rows))
    columns = ["--text", "text", "--label", "tags"]
    code, said, _ = ulmfit("doctor", data, *columns, "--base", lm_folder)
    assert code == 0 and "micro F1" in said and "nothing to do with the texts" not in said
    code, _, said = ulmfit("check-labels", data, *columns, "--base", lm_folder, "--out", out)
    with out.open(encoding="utf-8") as file:
        first = next(csv.DictReader(file))
    assert (code, first["row"], first["tags"], first["expected"]) == (0, "10", "staff", "price")
    assert f"--also {out} --text text --label tags --label-delimiter ';'" in said
    out.write_text(f'text,tags\n"{rows[9][0]}",price;staff\n')
    first, again = (read_table(path, text="text", label="tags", label_delimiter=";") for path in (data, out))
    joined = join_tables(first, [again])
    assert len(joined) == 64 and dict(zip(joined.texts, joined.labels, strict=True))[rows[9][0]] == "price;staff"
