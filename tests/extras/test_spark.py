import json
import shutil
import sys
from datetime import datetime

import pyarrow.parquet as pq
import pytest

pytest.importorskip("pyspark", reason="the extra [spark] is not installed")
if not shutil.which("java"):
    pytest.skip("Spark needs Java", allow_module_level=True)

from nasty_files import WITH_UNIQUE_NAMES, write_nasty

from ulmfit_lib.engines.spark import predict_on_spark, read_on_spark
from ulmfit_lib.errors import DataError
from ulmfit_lib.serving.predictor import Predictor


@pytest.fixture(scope="module")
def spark():
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
        yield session
        session.stop()


def test_spark_scores_every_row_once_as_one_process_does(spark, exported):
    texts = [f"number {i} : the film was {'great' if i % 3 else 'terrible'}" for i in range(200)] + ["", None]
    rows = spark.createDataFrame(list(enumerate(texts)), "id long, review string").repartition(5)
    scored = sorted(predict_on_spark(rows, exported, text="review").collect(), key=lambda row: row["id"])
    assert [row["id"] for row in scored] == list(range(len(texts)))
    predictor = Predictor.load(exported)
    expected = predictor.predict_proba(texts[:200])
    for place, name in enumerate(predictor.classes):
        assert [row[f"probability of {name}"] for row in scored[:200]] == expected[:, place].round(6).tolist()
    assert [row["prediction"] for row in scored] == [*predictor.predict(texts[:200]), "", ""]


@pytest.mark.parametrize("name", WITH_UNIQUE_NAMES)
def test_spark_makes_of_nasty_rows_what_predict_does(spark, ulmfit, exported, tmp_path, name):
    data = write_nasty(tmp_path, name)
    scored = predict_on_spark(read_on_spark(spark, data, text="text"), exported, text="text").collect()
    assert ulmfit("predict", exported, data, "--text", "text", "--out", tmp_path / "one.parquet")[0] == 0
    expected = pq.read_table(tmp_path / "one.parquet")
    assert scored[0].__fields__ == expected.column_names
    found, expected = ([json.dumps(row) for row in rows] for rows in (map(_as_dict, scored), expected.to_pylist()))
    assert sorted(found) == sorted(expected)


def _as_dict(row):
    return row.asDict(recursive=True)


def test_a_file_that_spark_has_no_reader_for_is_a_frame(spark, exported, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("__label__good the film was great\n__label__bad the film was terrible\n")
    rows = read_on_spark(spark, path, text="text")
    assert [row["label"] for row in rows.collect()] == [["good"], ["bad"]]
    scored = predict_on_spark(rows, exported, text="text").collect()
    assert {row["prediction"] for row in scored} <= {"positive", "negative"}


def test_columns_keep_their_values_beside_what_is_predicted(spark, exported):
    kinds = "id long, Prediction string, at timestamp, words array<int>, pair struct<a:int,b:string>, more string"
    at = datetime(2026, 1, 2, 3, 4, 5, 678901)
    given = [(2**60 + 1, "great", at, [1, None], (1, "x"), None), (None, "terrible", None, None, None, "ü")]
    rows = spark.createDataFrame(given, kinds).repartition(4)  # two of them without a row
    scored = predict_on_spark(rows, exported, text=["Prediction", "more"])
    kept = ["id", "Prediction", "at", "words", "pair", "more"]
    assert scored.columns[:8] == [*kept, "prediction_2", "confidence_2"]
    assert {row["more"]: row for row in scored.select(kept).collect()} == {
        row["more"]: row for row in rows.select(kept).collect()
    }
    expected = Predictor.load(exported).predict(["xxfld 1 great xxfld 2 ", "xxfld 1 terrible xxfld 2 ü"])
    assert {row["more"]: row["prediction_2"] for row in scored.collect()} == dict(
        zip([None, "ü"], expected, strict=True)
    )


def test_a_missing_column_is_named_before_spark_starts_to_work(spark, exported):
    rows = spark.createDataFrame([(1, "a")], "id long, review string")
    with pytest.raises(DataError, match="no column 'text'"):
        predict_on_spark(rows, exported, text="text")
