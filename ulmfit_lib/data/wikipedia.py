"""A MediaWiki dump -> the plain text of its articles, one at a time."""

import bz2
import hashlib
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path

import mwparserfromhell
from mwparserfromhell.nodes import ExternalLink, Heading, HTMLEntity, Node, Tag, Text, Wikilink
from mwparserfromhell.wikicode import Wikicode

from ulmfit_lib.data.stored_texts import StoredTexts
from ulmfit_lib.errors import DataError
from ulmfit_lib.files import cache_folder, only_process
from ulmfit_lib.progress import bar
from ulmfit_lib.tokens.workers import in_order

ARTICLES = "0"  # the namespace of articles; others hold talk, users, templates
WITHOUT_TEXT = frozenset(
    [
        "ref",
        "references",
        "table",
        "math",
        "chem",
        "gallery",
        "timeline",
        "score",
        "syntaxhighlight",
        "source",
        "code",
        "pre",
        "graph",
        "imagemap",
        "mapframe",
        "maplink",
        "templatestyles",
        "style",
    ]
)
LANGUAGE_LINK = re.compile(r"\s*[a-z]{2,3}(-[a-z]+)*\s*:")
SWITCH = re.compile(r"__[A-Z]+__")
CHUNK = 16  # articles that one worker takes at a time


def is_dump(path: Path) -> bool:
    """Whether a file's name says that it is a MediaWiki dump."""
    return path.name.endswith((".xml", ".xml.bz2"))


def store_dumps(paths: Sequence[Path]) -> StoredTexts:
    """The articles of dumps (``read_dump``) as texts on disk, in the cache: a second run parses nothing."""
    key = hashlib.sha256()
    for path in paths:
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        key.update(f"{path.resolve()}\0{path.stat().st_size}\0{path.stat().st_mtime_ns}\0".encode())
    folder = cache_folder() / "dumps" / key.hexdigest()
    if not folder.is_dir():
        with only_process(folder, wait=True):  # of processes that train together, one parses
            if not folder.is_dir():
                StoredTexts.store(chain.from_iterable(map(read_dump, paths)), folder)
    return StoredTexts.open(folder)


def read_dump(path: Path) -> Iterator[str]:
    """The articles of a dump (``.xml`` or ``.xml.bz2``) as plain text, in order; redirects and other pages left out.

    It is read as a stream: memory does not grow with the dump. Templates, tables, references, formulas, files and
    categories are dropped, links and quotes become their text. A DataError says if there is no such file, or no whole
    dump of MediaWiki's in it.
    """
    pages = _pages(path)
    first = next(pages, None)
    if first is None:
        raise DataError(f"{path}: no article in this dump")
    sources = (source for source, _ in chain([first], pages))
    chunks = iter(lambda: list(islice(sources, CHUNK)), [])
    yield from filter(None, chain.from_iterable(in_order(partial(_plain_texts, namespaces=first[1]), chunks)))


def _plain_texts(sources: Sequence[str], *, namespaces: frozenset[str]) -> list[str]:
    return [plain_text(source, namespaces) for source in sources]


def plain_text(source: str, namespaces: frozenset[str] = frozenset({"file", "image", "category"})) -> str:
    """Wikitext -> what a reader sees of its sentences; links to ``namespaces``, in lower case, show no text.

    >>> plain_text("'''Ada''' was a [[mathematics|mathematician]].<ref>[http://x y]</ref>\\n[[Category:People]]")
    'Ada was a mathematician.'
    """
    try:
        text = _shown(mwparserfromhell.parse(source, skip_style_tags=False), namespaces)
    except (mwparserfromhell.parser.ParserError, RecursionError):
        return ""  # nested beyond any sense: one page of a million
    text = SWITCH.sub("", text)
    text = re.sub(r"\(\s*[,;]*\s*\)", "", text)  # what is left of (pronunciation templates)
    lines = (re.sub(r"\s+", " ", line).strip(" *#:;|") for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def _shown(code: Wikicode | None, namespaces: frozenset[str]) -> str:
    return "".join(_node_text(node, namespaces) for node in code.nodes) if code is not None else ""


def _node_text(node: Node, namespaces: frozenset[str]) -> str:
    if isinstance(node, Text):
        return str(node.value)
    if isinstance(node, Wikilink):
        title = str(node.title)
        prefix = title.split(":", 1)[0].strip().lower()
        if ":" in title and not title.startswith(":") and (prefix in namespaces or LANGUAGE_LINK.match(title)):
            return ""
        return _shown(node.text, namespaces) if node.text is not None else title.lstrip(":")
    if isinstance(node, ExternalLink):
        return _shown(node.title, namespaces)
    if isinstance(node, Heading):
        return "\n" + _shown(node.title, namespaces) + "\n"
    if isinstance(node, HTMLEntity):
        return str(node.normalize())
    if isinstance(node, Tag):
        name = str(node.tag).strip().lower()
        if name in WITHOUT_TEXT:
            return ""
        return "\n" if name == "br" else _shown(node.contents, namespaces)
    return ""  # templates, their arguments, comments


def _pages(path: Path) -> Iterator[tuple[str, frozenset[str]]]:
    """Wikitext of each article, with the names of the namespaces that hold no text of their own."""
    try:
        with path.open("rb") as raw, bar(total=path.stat().st_size, description=path.name, unit="B") as progress:
            namespaces: set[str] = set()
            stream = bz2.BZ2File(raw) if path.suffix == ".bz2" else raw
            events = ElementTree.iterparse(stream, events=("start", "end"))
            _, root = next(events)
            if _name(root) != "mediawiki":
                raise DataError(f"{path}: this XML file is no MediaWiki dump (its root is <{_name(root)}>)")
            for event, element in events:
                if event == "start":
                    continue
                if _name(element) == "namespace" and element.get("key") != ARTICLES and element.text:
                    namespaces.add(element.text.lower())
                elif _name(element) == "page":
                    source = _article(element)
                    root.clear()
                    progress.update(raw.tell() - progress.n)
                    if source:
                        yield source, frozenset(namespaces | {"image", "file", "category"})
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except StopIteration as error:
        raise DataError(f"{path}: the file is empty") from error
    except (ElementTree.ParseError, EOFError, OSError, ValueError) as error:
        raise DataError(f"{path}: a damaged dump, or no dump at all: {error}") from error


def _article(page: ElementTree.Element) -> str | None:
    found = {_name(child): child for child in page}
    if "redirect" in found or (found["ns"].text if "ns" in found else ARTICLES) != ARTICLES or "revision" not in found:
        return None
    return next((child.text for child in found["revision"] if _name(child) == "text"), None)


def _name(element: ElementTree.Element) -> str:
    return element.tag.rsplit("}", 1)[-1]
