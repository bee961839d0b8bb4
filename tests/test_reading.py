import gzip
import lzma
import tracemalloc

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from ulmfit_lib import TextTable, read_table
from ulmfit_lib.data import stored_texts
from ulmfit_lib.data.reading import read_parts
from ulmfit_lib.data.splitting import stratified_split
from ulmfit_lib.errors import ArtifactError, DataError, OptionError
from ulmfit_lib.rows.batch import Rows
from ulmfit_lib.rows.reader import read_rows
from ulmfit_lib.rows.writer import row_writer
from ulmfit_lib.tokens.words import WordTokenizer

ROWS = [("A fine film.", "pos"), ('He said "no", twice;\nthen left.', "neg"), ("No label here", "")]


def check(table):
    assert table.texts == [text for text, _ in ROWS]
    assert table.labels == ["pos", "neg", None]


def test_csv_tsv_jsonl_and_parquet_read_alike(tmp_path):
    frame = pd.DataFrame(ROWS, columns=["review", "sentiment"])
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    frame.to_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.tsv", "a.jsonl", "a.parquet"):
        plain = (tmp_path / name).read_bytes()
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(plain))
        (tmp_path / f"{name}.xz").write_bytes(lzma.compress(plain))
        (tmp_path / f"{name}.zst").write_bytes(zstandard.ZstdCompressor().compress(plain))
        for suffix in ("", ".gz", ".xz", ".zst"):
            check(read_table(tmp_path / (name + suffix), text="review", label="sentiment"))


def test_a_folder_per_label_is_read(tmp_path):
    for label, text in (("pos", "good"), ("neg", "bad"), ("unsup", "who knows")):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.txt").write_text(text)
    table = read_table(tmp_path, text="text", label="label")
    assert dict(zip(table.texts, table.labels, strict=True)) == {"good": "pos", "bad": "neg", "who knows": None}


def test_several_columns_are_joined_with_fastais_field_marks(write_csv):
    from fastai.text.core import _join_texts

    path = write_csv([("Great", "I liked it"), ("Bad", "")], header=("title", "body"))
    ours = read_table(path, text=["title", "body"]).texts
    assert ours == list(_join_texts(pd.DataFrame({"t": ["Great", "Bad"], "b": ["I liked it", ""]}), mark_fields=True))


def test_words_that_pandas_takes_for_missing_stay_texts(write_csv):
    """A text of one such word is a text; a label is none."""
    table = read_table(write_csv([("NA", "null"), ("None", "nan")]), text="review", label="sentiment")
    assert table.texts == ["NA", "None"] and table.labels == [None, None]


def test_blank_texts_are_skipped_and_counted_or_kept(write_csv):
    path = write_csv([("good", "pos"), ("  ", "neg"), ("", "neg"), ("bad", "neg")])
    table = read_table(path, text="review", label="sentiment")
    assert (table.texts, table.skipped, table.rows) == (["good", "bad"], 2, [1, 4])
    assert [table.texts for _, table in read_parts(path, text="review")] == [["good", "", "", "bad"]]


def test_numbers_as_labels_become_their_names(tmp_path):
    path = tmp_path / "a.parquet"
    pd.DataFrame({"text": ["a", "b", "c"], "label": [1.0, 0.0, None]}).to_parquet(path)
    assert read_table(path, text="text", label="label").labels == ["1", "0", None]


def test_a_parquet_file_that_is_read_does_not_stay_in_memory(tmp_path):
    draw = np.random.default_rng(0)
    with pq.ParquetWriter(tmp_path / "a.parquet", pa.schema([("text", pa.string())])) as file:
        for _ in range(30):
            file.write_table(pa.table({"text": [draw.bytes(500_000).hex()]}))
    tracemalloc.start()
    assert sum(map(len, read_rows(tmp_path / "a.parquet", ["text"], rows=1))) == 30
    assert tracemalloc.get_traced_memory()[1] < 10e6 < (tmp_path / "a.parquet").stat().st_size
    tracemalloc.stop()


def test_a_list_is_no_text(tmp_path):
    pd.DataFrame({"text": ["a", None], "words": [None, [1, 2]]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="row 2, column 'words': found a list, not a text"):
        read_table(tmp_path / "a.parquet", text=["text", "words"])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.csv", None, "no such file"),
        ("empty.csv", b"", "empty"),
        ("header.csv", b"review,sentiment\n", "no rows"),
        ("column.csv", b"text,sentiment\na,b\n", "no column 'review'; it has 'text', 'sentiment'"),
        ("latin.csv", "review,sentiment\ngood,pos\ncafé,neg\n".encode("latin-1"), "line 3 is not utf-8"),
        ("fields.csv", b"review,sentiment\na,pos\na, b, c,pos\n", "line 3 has 4 fields"),
        ("wide.csv", b"review,sentiment\na,b,pos\nc,d,neg\n", "double quotes"),
        ("quote.csv", b'review,sentiment\na,pos\n"never, closed,pos\n', "line 3 has an opening double quote that is"),
        ("blank.csv", b"review,sentiment\n ,pos\n,neg\n", "every text is blank"),
        ("broken.jsonl", b'{"review": "a", "sentiment": "b"}\n{"review": \n', "line 2 is no JSON"),
        ("list.jsonl", b"[1]\n", "entry 1 of the array is no JSON object"),
        ("broken.parquet", b"PAR1 not really", "no readable Parquet"),
        ("broken.csv.gz", b"not gzip", "not a whole .gz file"),
        ("reviews.docx", b"x", "a .docx file cannot be read"),
        ("reviews.abc", b"x", "cannot tell the kind of file"),
    ],
)
def test_bad_files_get_one_sentence(tmp_path, name, content, said):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_table(path, text="review", label="sentiment")
    message = str(caught.value)
    assert said in message and str(path) in message and "\n" not in message


def test_an_encoding_helps_and_an_unknown_one_is_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("review\ncafé\n".encode("cp1252"))
    assert read_table(path, text="review", encoding="cp1252").texts == ["café"]
    with pytest.raises(OptionError, match="utf-99"):
        read_table(path, text="review", encoding="utf-99")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([None] * 6, "no row has a label"),
        (["pos"] * 6, "all 6 labelled rows have the label 'pos'"),
    ],
)
def test_labels_that_cannot_be_learnt_from_get_one_sentence(labels, said):
    with pytest.raises(DataError, match=said):
        TextTable.from_lists([f"text {i}" for i in range(6)], labels).split()


def test_free_text_as_label_and_swapped_columns_are_recognised():
    texts = [f"This is a rather long review, number {i}, of a film that I saw." for i in range(60)]
    labels = ["pos", "neg"] * 30
    with pytest.raises(DataError, match="swap --text and --label"):
        TextTable.from_lists(labels, texts).split()
    with pytest.raises(DataError, match="looks like free text"):
        TextTable.from_lists(texts, [text.upper() for text in texts]).split()


def test_a_split_is_stratified_seeded_and_shares_no_text():
    labels = ["a"] * 60 + ["b"] * 40 + [None] * 2
    table = TextTable.from_lists([f"t{i}" for i in range(100)] + ["u1", "t3"], labels)
    train, test = table.split(0.2, seed=1)
    assert test.labels.count("a") == 12 and test.labels.count("b") == 8
    assert not set(train.texts) & set(test.texts)
    assert "u1" in train.texts
    assert table.split(0.2, seed=1)[1].texts == test.texts != table.split(0.2, seed=2)[1].texts


def test_every_label_is_on_both_sides():
    held_out = stratified_split(["a"] * 50 + ["b"] * 3 + ["c"] * 2, 0.1, 0)
    assert sum(50 <= i < 53 for i in held_out) == 1 and max(held_out) < 53


def test_a_file_read_in_parts_is_the_file_read_whole(tmp_path):
    frame = pd.DataFrame({"review": [f"text {i},\nand more" for i in range(7)], "stars": [1, None, 3, 4, 5, 6, 7]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    for name in ("a.csv", "a.parquet", "a.jsonl"):
        (tmp_path / f"{name}.zst").write_bytes(zstandard.ZstdCompressor().compress((tmp_path / name).read_bytes()))
        for path in (tmp_path / name, tmp_path / f"{name}.zst"):
            parts = list(read_rows(path, ["review"], rows=3))
            assert [len(part) for part in parts] == [3, 3, 1]
            assert [text for part in parts for text in part.column("review")] == frame["review"].tolist()


def test_half_a_surrogate_pair_is_shown_as_what_it_is(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(r'{"text": "a \ud83d\ude00 b \ud83d c", "more": ["\ude00"]}')
    assert read_table(path, text="text").texts == ["a \U0001f600 b \ufffd c"]
    tokens = list(WordTokenizer()(["one \ud83d two", "three"]))
    assert tokens == [["xxbos", "one", "\ufffd", "two"], ["xxbos", "three"]]


def test_parquet_whose_strings_are_damaged_is_refused(tmp_path):
    offsets, content = pa.array([0, 2, 4], pa.int32()).buffers()[1], pa.py_buffer(b"ok\xff\xfe")
    texts = pa.StringArray.from_buffers(2, offsets, content)
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="no readable Parquet file"):
        read_table(tmp_path / "a.parquet", text="text")


def test_json_names_that_come_late_are_in_every_part(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"text": "{i}"}}\n' for i in range(5)) + '{"text": "5", "late": 1}\n')
    assert [part.names for part in read_rows(path, ["text"], rows=2)] == [["text", "late"]] * 3


@pytest.mark.slow
def test_errors_far_into_a_file_name_their_line(tmp_path):
    good = "a fine film,pos\n" * 150_000  # several blocks
    encoding, fields, json_lines = tmp_path / "encoding.csv", tmp_path / "fields.csv", tmp_path / "broken.jsonl"
    encoding.write_bytes(f"review,sentiment\n{good}café,pos\n".encode("latin-1"))
    fields.write_text(f"review,sentiment\n{good}a,b,c\n")
    json_lines.write_text('{"review": "a"}\n' * 150_000 + "{\n")
    for path, said in (
        (encoding, "line 150002 is not utf-8"),
        (fields, "line 150002 has 3 fields"),
        (json_lines, "line 150001 is no JSON"),
    ):
        with pytest.raises(DataError) as caught:
            read_table(path, text="review")
        assert said in str(caught.value)


def test_texts_beyond_memory_lie_in_a_file(write_csv, monkeypatch):
    path = write_csv([(f"text {i}", "ab"[i % 2]) for i in range(40)])
    whole = read_table(path, text="review", label="sentiment")
    monkeypatch.setattr(stored_texts, "MOST_IN_MEMORY", 50)
    stored = read_table(path, text="review", label="sentiment")
    assert isinstance(stored.texts, stored_texts.StoredTexts)
    for ours, theirs in zip(stored.split(), whole.split(), strict=True):
        assert (list(ours.texts), ours.labels, ours.rows) == (theirs.texts, theirs.labels, theirs.rows)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_tables_written_in_parts_read_as_one(tmp_path, name):
    reviews = ['He said "no",\nthen left\t.', "b", "café,\ras old Macs\rend a line"]
    rows = Rows.of({"review": reviews, "share": [0.5, None, 1.0]})
    with row_writer(tmp_path / name) as write:
        write(rows.select([0, 1]))
        assert not (tmp_path / name).exists()
        write(rows.select([2]))
    (again,) = read_rows(tmp_path / name, ["review", "share"])
    assert list(again.column("review")) == reviews
    assert [float(again.column("share")[row]) for row in (0, 2)] == [0.5, 1.0]


def test_a_table_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(DataError), row_writer(tmp_path / "a.csv") as write:
        write(Rows.of({"a": [1]}))
        raise DataError("no")
    with pytest.raises(DataError, match="several kinds"), row_writer(tmp_path / "a.parquet") as write:
        write(Rows.of({"a": [1]}))
        write(Rows.of({"a": ["x"]}))
    with pytest.raises(DataError, match="column 'a' has several kinds"), row_writer(tmp_path / "a.parquet") as write:
        write(Rows.of({"a": [1]}))
        write(Rows.of({"a": [2, 2.5]}))  # which Arrow would cut to 2
    with pytest.raises(ArtifactError, match="File name too long"), row_writer(tmp_path / f"{'a' * 300}.csv"):
        pass
    assert not list(tmp_path.iterdir())
