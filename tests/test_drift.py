import csv
import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from test_doctor import rows

from ulmfit_lib import fit, fit_lm, read_table
from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.insight.drift import Novelty, find_drift
from ulmfit_lib.insight.readers import most_similar
from ulmfit_lib.models.known_texts import KnownTexts
from ulmfit_lib.training.run import Run


@pytest.fixture(scope="module")
def others():
    return [text for text, _ in rows(90, labels=("travel", "food"), seed=7)]


def test_texts_of_the_same_source_are_no_drift(tiny_lm, reviews):
    texts = list(dict.fromkeys(reviews.texts))
    found = find_drift(texts[::2], texts[1::2], lm=tiny_lm, reader=tiny_lm)
    assert not found.drifted and "still what the model knows" in found.sentences()[-1]


def test_texts_of_another_source_are_a_drift_by_words_and_by_vectors(tiny_lm, reviews, others):
    found = find_drift(reviews.texts, others, lm=tiny_lm, reader=tiny_lm)
    assert found.by_words and found.by_vectors
    with pytest.raises(DataError, match="at least"):
        find_drift(reviews.texts, others[:3], lm=tiny_lm, reader=tiny_lm)


def test_novelty_is_the_share_of_known_texts_that_are_less_surprising(tiny_lm, reviews):
    known = list(dict.fromkeys(reviews.texts))[:40]
    nats, shares = Novelty.measure(tiny_lm, known).of([*known, ""])
    assert shares[nats[:-1].argmin()] == 0 and shares[nats[:-1].argmax()] == 39 / 40
    assert np.isnan(nats[-1]) and np.isnan(shares[-1])


@pytest.mark.slow
def test_a_model_that_fit_made_needs_no_old_file(ulmfit, tiny_lm, lm_folder, fruit, others, write_csv, tmp_path):
    fit(fruit, base=tiny_lm, strategy="linear-probe", run=Run(device="cpu")).save(tmp_path / "m")
    assert "terrible" not in (tmp_path / "m" / "training.json").read_text()
    same = write_csv([(text, "") for text in fruit.texts], name="same.csv")
    new = write_csv([(text, "") for text in others], name="new.csv")
    asked = ["--text", "review", "--base", lm_folder]
    found = [json.loads(ulmfit("drift", tmp_path / "m", one, *asked, "--json")[1]) for one in (same, new)]
    assert [one["drifted"] for one in found] == [False, True]
    assert ulmfit("predict", tmp_path / "m", new, *asked, "--novelty", "--out", tmp_path / "p.csv")[0] == 0
    code, _, err = ulmfit("drift", tmp_path / "m", new, "--text", "review")
    assert code == 2 and "'tiny', which is not here" in err


def test_an_older_model_says_that_it_needs_the_old_file(ulmfit, tiny_classifier, others, write_csv, tmp_path):
    tiny_classifier.save(tmp_path / "m")
    new = write_csv([(text, "") for text in others], name="new.csv")
    code, _, err = ulmfit("drift", tmp_path / "m", new, "--text", "review")
    assert code == 2 and "--known" in err


def test_a_language_model_keeps_numbers_of_texts_that_it_has_not_read(tiny_lm, reviews, others, tiny_recipe):
    lm = fit_lm(
        reviews.texts, base=tiny_lm.only("forward"), recipe=replace(tiny_recipe, epochs=1), run=Run(device="cpu")
    )
    known = KnownTexts.from_record(lm.training)
    assert 20 <= len(known) < 0.2 * len(reviews) and find_drift(known, others, lm=lm, reader=lm).drifted
    with pytest.raises(OptionError, match="damaged"):
        KnownTexts.from_record(TrainingRecord(known_texts={**lm.training.known_texts, "vectors": "AAAA"}))


def test_the_text_most_like_itself_is_itself(tiny_lm, tiny_classifier, reviews):
    for reader in (tiny_lm, tiny_classifier):
        found = most_similar(reader, reviews.select(range(30)), reviews.texts[5], n=3)
        assert found[0].row == 6 and found[0].cosine == pytest.approx(1, abs=1e-4) and len(found) == 3
    assert np.allclose(np.linalg.norm(tiny_classifier.embed(reviews.texts[:9]), axis=1), 1, atol=1e-5)


@pytest.mark.slow
def test_drift_embed_and_similar_run(ulmfit, tiny_classifier, lm_folder, fruit, others, write_csv, tmp_path):
    tiny_classifier.save(tmp_path / "m")
    known = write_csv([(text, "") for text in fruit.texts], name="known.csv")
    new = write_csv([(text, "") for text in others], name="new.csv")
    out = tmp_path / "each.csv"
    code, said, _ = ulmfit(
        "drift", tmp_path / "m", new, "--known", known, "--text", "review", "--base", lm_folder, "--out", out, "--json"
    )
    assert code == 0 and json.loads(said)["drifted"] and len(read_table(out, text="text")) == len(others)
    for name in ("v.npy", "v.parquet"):
        assert ulmfit("embed", tmp_path / "m", known, "--text", "review", "--out", tmp_path / name)[0] == 0
    vectors = np.load(tmp_path / "v.npy")
    assert np.array_equal(np.stack(pq.read_table(tmp_path / "v.parquet")["vector"].to_numpy()), vectors)
    assert ulmfit("embed", tmp_path / "m", known, "--text", "review", "--out", tmp_path / "v.txt")[0] == 2
    code, said, _ = ulmfit("similar", lm_folder, known, "--text", "review", "--to", fruit.texts[0], "--n", 1)
    assert code == 0 and said.startswith("1.000  row 1:")


def test_predict_and_evaluate_lm_say_what_is_surprising(ulmfit, tiny_classifier, lm_folder, write_csv, tmp_path):
    tiny_classifier.save(tmp_path / "m")
    known = write_csv([(f"the film {i} was great and that was all", "") for i in range(9)], name="known.csv")
    new = write_csv([("the film 3 was great and that was all", ""), ("", "x"), ("was was the of", "")], name="new.csv")
    out, text = tmp_path / "p.csv", ["--text", "review"]
    asked = ["--novelty", "--known", known, "--base", lm_folder, "--out", out]
    code, _, _ = ulmfit("predict", tmp_path / "m", new, *text, *asked)
    with out.open(encoding="utf-8") as file:
        nats = [one["nats per word"] for one in csv.DictReader(file)]
    assert code == 0 and nats[1] == "" and float(nats[2]) > float(nats[0])
    code, said, _ = ulmfit("evaluate-lm", lm_folder, "--on", new, *text, "--known", known, "--json")
    assert code == 0 and json.loads(said)[0]["known_less_surprising"][-1] == 1
