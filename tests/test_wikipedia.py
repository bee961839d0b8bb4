import bz2
import random

import pytest

from ulmfit_lib import LanguageModel
from ulmfit_lib.data.stored_texts import Selection, StoredTexts
from ulmfit_lib.data.wikipedia import plain_text, read_dump
from ulmfit_lib.errors import DataError

PAGE = "<page><title>{title}</title><ns>{ns}</ns>{extra}<revision><id>2</id><text>{text}</text></revision></page>"
SITE = (
    '<siteinfo><namespaces><namespace key="0"/><namespace key="6">Datei</namespace>'
    '<namespace key="14">Kategorie</namespace></namespaces></siteinfo>'
)


def write_dump(path, pages, end="</mediawiki>"):
    xml = f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="de">{SITE}{"".join(pages)}{end}'
    path.write_bytes(bz2.compress(xml.encode()) if path.suffix == ".bz2" else xml.encode())
    return path


def page(text, title="A", ns=0, extra=""):
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return PAGE.format(title=title, ns=ns, extra=extra, text=escaped)


def test_articles_come_as_plain_text_and_nothing_else_comes(tmp_path):
    dump = write_dump(
        tmp_path / "dewiki.xml.bz2",
        [
            page("'''Ada''' war [[Mathematik|Mathematikerin]]. [[Datei:a.jpg|mini|Bild]]\n[[Kategorie:Frau]]"),
            page("Reden", ns=1),
            page("#WEITERLEITUNG [[Ada]]", extra='<redirect title="Ada" />'),
            page("{{nur|eine|Vorlage}}"),
            page("== Titel ==\n* Punkt &amp; Strich<ref>weg</ref>"),
        ],
    )
    assert list(read_dump(dump)) == ["Ada war Mathematikerin.", "Titel\nPunkt & Strich"]
    assert list(read_dump(write_dump(tmp_path / "plain.xml", [page("Text")]))) == ["Text"]


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("{| class=x\n| a || b\n|}\nafter", "after"),
        ("[[File:x.jpg|thumb|a [[linked]] caption]]text", "text"),
        ("[http://x.y a link] and http://z", "a link and"),
        ("x<sup>2</sup> <math>y^2</math><br/>next", "x2\nnext"),
        ("A ({{IPA|b}}) c {{d|{{e}}}}f __NOTOC__", "A c f"),
        ("[[de:Ada]][[:Category:Ada]]", "Category:Ada"),
        ("''unclosed [[link {{template", "''unclosed [[link {{template"),
    ],
)
def test_wikitext_becomes_what_a_reader_sees(source, shown):
    assert plain_text(source) == shown


def test_a_dump_that_is_none_or_damaged_is_named(tmp_path):
    whole = write_dump(tmp_path / "a.xml.bz2", [page("word " * 5000)] * 3).read_bytes()
    for name, content, says in [
        ("cut.xml.bz2", whole[: len(whole) // 2], "damaged dump"),
        ("text.xml.bz2", b"hello", "damaged dump"),
        ("html.xml", b"<html></html>", "no MediaWiki dump"),
        ("empty.xml", b"", "damaged dump"),
        ("none.xml", write_dump(tmp_path / "none.xml", []).read_bytes(), "no article"),
        ("open.xml", write_dump(tmp_path / "open.xml", [page("Text")], end="").read_bytes(), "damaged dump"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=says):
            list(read_dump(tmp_path / name))
    with pytest.raises(DataError, match="no such file"):
        list(read_dump(tmp_path / "missing.xml"))


def test_a_language_model_is_pretrained_from_a_dump(tmp_path, ulmfit, monkeypatch):
    monkeypatch.setenv("ULMFIT_CACHE", str(tmp_path / "cache"))
    words, draw = ["der", "Hund", "bellt", "laut", "und", "lange", "."], random.Random(0)
    pages = [page(" ".join(draw.choices(words, k=80))) for _ in range(30)]
    dump = write_dump(tmp_path / "dewiki.xml.bz2", pages)
    sizes = ["--embedding", "8", "--hidden", "8", "--layers", "1", "--batch-size", "4", "--lr", "0.01"]
    code, _, err = ulmfit("pretrain", dump, "--out", tmp_path / "wiki", "--language", "de", *sizes)
    assert code == 0, err
    model = LanguageModel.load(tmp_path / "wiki")
    assert model.tokenizer.language == "de" and "hund" in model.vocabulary.index


def test_stored_texts_are_a_sequence_that_stays_on_disk(tmp_path):
    texts = ["one", "", "z\u00fcrich \ud800 \n", "four"]
    stored = StoredTexts.store(iter(texts), tmp_path / "texts")
    assert list(stored) == texts and stored[-1] == "four" and stored[1:3] == texts[1:3]
    assert list(Selection(stored, [3, 0])) == ["four", "one"]
    with pytest.raises(IndexError):
        stored[4]
