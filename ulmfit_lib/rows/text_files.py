"""Files, compressed or not -> decoded text, block by block and line by line."""

import bz2
import codecs
import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from ulmfit_lib.errors import DataError, OptionError, first_line
from ulmfit_lib.progress import note
from ulmfit_lib.rows.kinds import COMPRESSED, advice_for, no_such_file, table_in

BLOCK = 1 << 20  # bytes read at a time
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # which begins like UTF-16's
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"\x84\x31\x95\x33": "gb18030",
}
JAPANESE = (b"\x1b$B", b"\x1b$@")  # where ISO-2022-JP, as mail programs write it, leaves ASCII
MARK = "\ufeff"
LINE_END = re.compile("\r*\n|\r")
MANY_HIGH, FEW_HIGH = 0.4, 3  # share of a line's letters, and their number: more than where letters are Latin
ONE_BYTE = ("cp1252", "iso8859-1", "iso8859-15", "mac-roman", "cp850")  # a character, as Python calls these encodings
WESTERN = ("cp1252", "mac_roman", "cp850")  # of Windows, of old Macs and of DOS; the first that fits best
SIGNS, WITHIN = "‚„ˆ˜†‡‰ƒ›", "’·–—"
SURROGATE = re.compile(rb"\xed[\xa0-\xbf]")  # the start of half a character, as CESU-8 has it
OTHER_ENCODINGS = "cp1251 (Cyrillic), gb18030 (Chinese), shift_jis (Japanese), euc_kr (Korean) ..."
PACKED = {  # what files begin with that are no text, and how their names should end
    b"\x1f\x8b": ("a gzip file", ".gz"),
    b"BZh": ("a bzip2 file", ".bz2"),
    b"\xfd7zXZ\0": ("an xz file", ".xz"),
    b"\x28\xb5\x2f\xfd": ("a Zstandard file", ".zst"),
    b"PK\x03\x04": ("a workbook or an archive", ".xlsx or .zip"),
    b"\xd0\xcf\x11\xe0": ("an old workbook of Excel", ".xls"),
    b"PAR1": ("a Parquet file", ".parquet"),
    b"ARROW1": ("an Arrow file", ".arrow"),
    b"SQLite format 3\0": ("a database of SQLite", ".sqlite"),
    b"%PDF-": ("a PDF", ".pdf"),
    b"{\\rtf": ("a document of RTF", ".rtf"),
    b"\x80\x04": ("a pickle", ".pkl"),
    b"\x80\x05": ("a pickle", ".pkl"),
}
WEB_PAGE = re.compile(rb"\s*(<!doctype html|<html|<table|<\?xml)", re.IGNORECASE)
FEW_ZEROS, MANY_ZEROS = 3, 0.01  # of the bytes in every second place, as the spaces and line ends of UTF-16 have them


@contextmanager
def open_bytes(path: Path) -> Iterator[tuple[Any, BinaryIO]]:
    """A file's bytes, decompressed; and the file itself, whose position tells how far it is read."""
    try:
        with path.open("rb") as file:
            yield _decompressed(path, file), file
    except FileNotFoundError as error:
        raise no_such_file(path) from error
    except RuntimeError as error:  # zipfile's
        raise DataError(f"{path}: {first_line(error)}; unpack it, and name the file in it") from error
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        plain = ", or one that is not compressed: leave that ending out" if "ot a" in str(error) else ""
        raise DataError(f"{path}: not a whole {path.suffix} file ({first_line(error)}){plain}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:
        if type(error).__name__ != "ZstdError":  # of a package that need not be there
            raise
        raise DataError(f"{path}: not a whole {path.suffix} file ({first_line(error)})") from error


def _decompressed(path: Path, file: BinaryIO) -> Any:
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return zipfile.ZipFile(file).open(table_in(path))
    if suffix == ".bz2":
        return bz2.BZ2File(file)
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=file)
    if suffix == ".xz":
        return lzma.LZMAFile(file)
    if suffix == ".zst":
        try:
            import zstandard
        except ImportError as error:
            raise OptionError(f"{path}: a .zst file needs one more package: pip install zstandard") from error
        return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
    return file


@contextmanager
def open_text(path: Path, encoding: str | None) -> Iterator[tuple["TextStream", BinaryIO]]:
    """A file's text, its encoding found, and the file itself (``open_bytes``)."""
    found = find_encoding(path, encoding)
    with open_bytes(path) as (stream, file):
        yield TextStream(str(path), iter(lambda: stream.read(BLOCK), b""), found), file


def read_text(path: Path, encoding: str | None = None) -> str:
    """A whole text file."""
    with open_text(path, encoding) as (text, _):
        return "".join(text.blocks())


def find_encoding(path: Path, given: str | None) -> str:
    """A file's encoding: what its first bytes mark, else ``given``, else UTF-8.

    One encoding may be given for several files, some of which this library wrote in UTF-8. So a file that is valid
    UTF-8 and says more than ASCII is read as UTF-8 whatever is given.
    """
    given = given and known_encoding(given)
    with open_bytes(path) as (stream, _):
        start = stream.read(BLOCK)
        _refuse_packed(path, start)
        if marked := marked_encoding(start):
            return marked
        if given in (None, "utf-8"):
            return "utf-8"
        wide = given is not None and given.startswith(("utf-16", "utf-32"))
        ascii_alone, decoder = True, codecs.getincrementaldecoder("utf-8")()
        try:
            for block in chain([start], iter(lambda: stream.read(BLOCK), b"")):
                decoder.decode(block)
                ascii_alone = ascii_alone and block.isascii()
                if wide and b"\0" in block:
                    return str(given)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            if given in ONE_BYTE and not (ascii_alone and error.object[: error.start].isascii()):
                _mention_mixture(path, str(given))
            return str(given)
        return "utf-8" if wide or not ascii_alone else str(given)


@cache  # so that it is said once
def _mention_mixture(path: Path, given: str) -> None:
    note(f"{path}: a part of it is UTF-8 and not {given}, so letters come out wrong there; save it all in one encoding")


def _refuse_packed(path: Path, start: bytes) -> None:
    """Raise DataError for the bytes of a file that is called a text and is none."""
    if found := _packed(start):
        what, ending = found
        if path.suffix.lower() == ending and ending in COMPRESSED:
            raise DataError(f"{path}: it is compressed twice; unpack it once")
        packed = f"{path.suffix}{ending}" if ending in COMPRESSED else ending
        way = advice_for(ending) or f"give it a name that ends in {packed}"
        raise DataError(f"{path}: this is {what}, whatever its name says; {way}")
    if WEB_PAGE.match(start):
        raise DataError(f"{path}: this is a web page or XML, as sites send in place of a download; get it anew, as CSV")


def _packed(start: bytes) -> tuple[str, str] | None:
    return next((found for mark, found in PACKED.items() if start.startswith(mark)), None)


def marked_encoding(start: bytes) -> str | None:
    """What the first bytes of a text say of its encoding: a byte-order mark, the zeros of UTF-16, or escapes."""
    if any(escape in start for escape in JAPANESE) and start.isascii():
        return "iso2022_jp"
    for mark, encoding in MARKS.items():
        if start.startswith(mark):
            return encoding
    looked_at = start[:1000]
    for place, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = looked_at[place::2], looked_at[1 - place :: 2]
        if zeros.count(0) >= max(FEW_ZEROS, MANY_ZEROS * len(zeros)) and 2 * others.count(0) <= zeros.count(0):
            return encoding
    return None


def known_encoding(name: str) -> str:
    """The name that Python gives to an encoding; an OptionError for one that is unknown, or makes no text."""
    try:
        codec = codecs.lookup(name)
        "".encode(name)
    except (LookupError, ValueError) as error:
        raise OptionError(f"encoding {name!r} is unknown; try utf-8, latin-1, cp1252 or utf-16") from error
    return codec.name


def stream_lines(name: str, stream: Any, encoding: str | None) -> Iterator[str]:
    """Lines of a stream that cannot be read twice, such as standard input, as they come."""
    given = known_encoding(encoding or "utf-8")
    start = stream.read1(BLOCK)
    if found := _packed(start):
        raise DataError(f"{name}: this is {found[0]}, where lines of text are needed; name the file, and --text")
    parts = chain([start], iter(lambda: stream.read1(BLOCK), b""))
    yield from TextStream(name, parts, marked_encoding(start) or given).lines()


class TextStream:
    """Decoded text of a binary stream, which names the line where the decoding fails.

    Whenever some more has been read, ``watch`` is called.
    """

    def __init__(self, name: str, content: Iterable[bytes], encoding: str) -> None:
        self.name, self._content, self._encoding = name, content, encoding
        self._decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)()
        self._lines = 0  # that are decoded
        self._plain = True  # they are all ASCII
        self.watch: Callable[[], object] = lambda: None

    def blocks(self) -> Iterator[str]:
        """The text as it is read; a DataError names the line that is in another encoding."""
        for block in self._content:
            yield self._decoded(block)
            self.watch()
        yield self._decoded(b"", final=True)

    def lines(self) -> Iterator[str]:
        """What newlines separate, without them; or carriage returns, as Macs write, where the first line ends in one.

        A byte-order mark at the start of a line is none of its text: it is left there where files were joined.
        """
        blocks = self.blocks()
        start = next(blocks, "")
        first = LINE_END.search(start)
        quoted = first is not None and start.count('"', 0, first.start()) % 2 == 1
        end = "\r" if first and first.group() == "\r" and not quoted and "\r\n" not in start else "\n"
        rest = ""
        for block in chain([start], blocks):
            *lines, rest = (rest + block).split(end)
            yield from (line.removeprefix(MARK) for line in lines)
        if rest:
            yield rest.removeprefix(MARK)

    def _decoded(self, block: bytes, final: bool = False) -> str:
        try:
            text = self._decoder.decode(block, final)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(self._encoding, "ignore")
            line = self._lines + before.count("\n") + 1
            found = (
                f"{self.name}: line {line} is not {self._encoding}: it holds the byte 0x{error.object[error.start]:02x}"
            )
            raise DataError(f"{found}; {self._advice(error, before)}") from error
        except UnicodeError as error:  # UTF-16 without a mark
            advice = "say how the file is encoded, for example --encoding cp1252"
            raise DataError(f"{self.name}: line 1 is not {self._encoding} ({first_line(error)}); {advice}") from error
        self._lines += text.count("\n")
        self._plain = self._plain and text.isascii()
        return text

    def _advice(self, error: UnicodeDecodeError, before: str) -> str:
        if self._encoding not in ("utf-8", "utf-8-sig") or not (self._plain and before.isascii()):
            return "the lines before it are, so correct this line, or save the whole file in one encoding"
        if SURROGATE.match(error.object, error.start):
            return "this is half of a character, as CESU-8 has it, which Oracle calls UTF8: write it anew as AL32UTF8"
        from_line = error.object[error.object.rfind(b"\n", 0, error.start) + 1 :]
        line = from_line.partition(b"\n")[0]
        high, letters = sum(byte > 0x7F for byte in line), sum(byte > 0x40 for byte in line)
        if high > max(FEW_HIGH, MANY_HIGH * letters):
            return "save it as UTF-8, or say how it is encoded with --encoding: " + OTHER_ENCODINGS
        return f"say how the file is encoded, for example --encoding {likely_encoding(from_line)}"


def likely_encoding(content: bytes) -> str:
    """The Western encoding in which a text's letters beyond ASCII stand where letters do; in doubt that of Windows.

    >>> likely_encoding("un café".encode("cp1252")), likely_encoding("un café".encode("mac_roman"))
    ('cp1252', 'mac_roman')
    """
    able = [one for one in WESTERN if "\ufffd" not in content.decode(one, "replace")]
    return min(able, key=lambda one: _misplaced(content.decode(one)))


def _misplaced(text: str) -> int:
    """Capitals behind small letters, and signs within words or behind them that no word has there."""
    return sum(
        before.islower() and (letter.isupper() or letter in SIGNS or (behind.islower() and letter not in WITHIN))
        for before, letter, behind in zip(f" {text}", text, f"{text[1:]} ", strict=False)
        if not letter.isascii() and not letter.islower()
    )
