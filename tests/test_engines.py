import os

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from coin import Coin
from nasty_files import WITH_UNIQUE_NAMES, write_nasty

from ulmfit_lib.engines.ray_files import _PartScorer, _read, _scored_rows, _start_or_go_on
from ulmfit_lib.engines.sources import Source, arrow_table
from ulmfit_lib.errors import ArtifactError, DataError
from ulmfit_lib.rows.kinds import FileFormat
from ulmfit_lib.rows.predictions import AddedColumns
from ulmfit_lib.rows.reader import read_rows
from ulmfit_lib.serving.predictor import Predictor


class Odds(Coin):
    """Says "good" of each text, and fails at one."""

    def predict_proba(self, texts):
        if "poison" in texts:
            raise MemoryError
        return super().predict_proba(texts)


@pytest.fixture
def find(tmp_path):
    def source(**files):
        """A folder of files, a table or a text each; double underscores stand for dots."""
        for name, content in files.items():
            path = tmp_path / name.replace("__", ".")
            if isinstance(content, str):
                path.write_text(content, encoding="utf-8")
            else:
                pq.write_table(pa.table(content), path)
        return Source.find(tmp_path, ["review"], FileFormat())

    return source


@pytest.fixture
def scorer(monkeypatch):
    monkeypatch.setattr(Predictor, "load", lambda *_, **__: Odds())
    names = AddedColumns.beside(["review"], Odds.classes)
    return lambda run: _PartScorer(run, model="model", text=["review"], names=names, threads=1)


def rows(*texts):
    numbers = list(range(1, len(texts) + 1))
    return pa.table({"review": texts, "source_file": ["a.csv"] * len(texts), "source_row": numbers})


def test_columns_of_all_files_agree_before_anything_is_scored(find):
    whole = {"id": [1], "review": ["a"], "more": pa.nulls(1)}
    schema, about = find(a__parquet=whole, b__parquet={"id": [1.5], "review": ["b"], "more": ["c"]}).look()
    assert about == 2 and schema.field("id").type == pa.float64() and schema.field("more").type == pa.string()
    with pytest.raises(DataError, match=r"c\.csv: column 'id' has values of the kind .*string, and double before"):
        find(c__csv="id,review,more\nx,y,z\n").look()


def test_json_lines_are_of_the_kind_that_their_last_row_has(find):
    lines = ['{"id": 1, "review": "a"}\n'] * 20_000
    source = find(a__jsonl="".join([*lines, '{"id": 1.5, "review": "a", "late": "b"}\n']))
    schema, about = source.look()
    assert about == 20_001 and schema.field("id").type == pa.float64() and schema.field("late").type == pa.string()
    *_, last = _read({"name": ["a.jsonl"]}, source, schema, {})
    assert last.to_pylist() == [{"id": 1.5, "review": "a", "late": "b", "source_file": "a.jsonl", "source_row": 20_001}]


def test_files_without_rows_are_passed_over_unless_there_are_no_others(find):
    empty = {"a__csv": "", "b__csv": "id,review\n", "c__parquet": {"id": pa.array([], pa.int64()), "review": [""][:0]}}
    with pytest.raises(DataError, match="no rows to score"):
        find(**empty).look()
    source = find(d__csv="id,review\n1,a\n")
    schema, about = source.look()
    assert about == 1
    assert not [*_read({"name": ["a.csv"]}, source, schema, {}), *_read({"name": ["c.parquet"]}, source, schema, {})]


@pytest.mark.parametrize("name", WITH_UNIQUE_NAMES)
def test_engines_read_of_nasty_files_what_predict_reads(tmp_path, name):
    path = write_nasty(tmp_path, name)
    source = Source.find(path, ["text"], FileFormat())
    schema, _ = source.look()
    expected = pa.concat_tables([rows.to_arrow(path) for rows in read_rows(path, ["text"])])
    by_ray = pa.concat_tables(_read({"name": [name]}, source, schema, {}))
    assert by_ray["source_row"].to_pylist() == list(range(1, len(expected) + 1))
    assert by_ray.drop_columns(["source_file", "source_row"]).equals(expected)
    assert arrow_table(path, text="text").equals(expected)


def test_a_folder_within_the_folder_is_named(find, tmp_path):
    (tmp_path / "year=2020").mkdir()
    with pytest.raises(DataError, match="'year=2020'"):
        find(a__csv="review\na\n")


def test_what_outlives_a_killed_run_adds_nothing_to_the_next(scorer, tmp_path):
    killed = _start_or_go_on(tmp_path / "out", {})
    outliving = scorer(killed.__enter__())
    assert outliving(rows("a", "b"))["rows"] == [2]
    with _start_or_go_on(tmp_path / "out", {}) as run:
        assert {name: done.tolist() for name, done in _scored_rows(tmp_path / "out").items()} == {"a.csv": [1, 2]}
        with pytest.raises(ArtifactError):
            outliving(rows("c", "d").slice(1))
        assert scorer(run)(rows("a", "b", "c").slice(2))["rows"] == [1]
    names = ["_job.json", "a.csv-000000000001.parquet", "a.csv-000000000003.parquet"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names


def test_a_text_that_cannot_be_scored_is_named(scorer, tmp_path):
    with pytest.raises(DataError, match=r"a\.csv: row 3 cannot be scored \(MemoryError"):
        scorer(tmp_path)(rows("a", "b", "poison", "d"))
    assert not list(tmp_path.glob("*"))


def test_a_damaged_part_is_named(scorer, tmp_path):
    with _start_or_go_on(tmp_path / "out", {}) as run:
        scorer(run)(rows("a", "b"))
    part = tmp_path / "out" / "a.csv-000000000001.parquet"
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(ArtifactError, match=r"a\.csv-000000000001\.parquet: damaged; delete it"):
        _scored_rows(tmp_path / "out")


def test_rows_of_other_files_or_options_are_not_added(find, scorer, tmp_path):
    source, out = find(a__csv="review\na\n"), tmp_path / "scored" / "out"
    job = source.record()
    with _start_or_go_on(out, {**job, "model": "another"}):
        pass  # what has scored nothing keeps nobody out
    with _start_or_go_on(out, job) as run:
        scorer(run)(rows("a"))
    with pytest.raises(ArtifactError, match="begun with another model"), _start_or_go_on(out, {**job, "model": "b"}):
        pass
    (tmp_path / "a.csv").write_text("review\nb\n")
    os.utime(tmp_path / "a.csv", ns=(0, 0))
    with pytest.raises(ArtifactError, match=r"begun with another file a\.csv"), _start_or_go_on(out, source.record()):
        pass


def test_options_of_an_engine_need_one(ulmfit, tmp_path):
    code, _, said = ulmfit("predict", tmp_path, "a.csv", "--text", "review", "--workers", 2)
    assert code == 2 and "--workers and --cores are for --engine" in said


def test_an_index_that_pandas_stored_is_a_column(find, tmp_path):
    pd.DataFrame({"review": ["a", "b"]}, index=pd.Index(["x", "y"], name="key")).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame({"review": ["c"], "key": ["z"]}, index=[7]).to_parquet(tmp_path / "b.parquet")
    source = find()
    schema, _ = source.look()
    keys = [read["key"].to_pylist() for name in source.files for read in _read({"name": [name]}, source, schema, {})]
    assert keys == [["x", "y"], ["z"]]
