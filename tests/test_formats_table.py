"""The guide's table of formats, which a command makes by trying them."""

from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_guides_table_says_what_is_read_by_which_way(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import formats_table

    guide = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    assert formats_table.MARKED.search(guide)
    assert guide == formats_table.rendered(guide), "run `make formats` and commit what it writes"
