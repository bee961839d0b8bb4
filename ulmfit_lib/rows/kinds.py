"""How a file is written: its kind by its name, what a user says of it, and what to do with a file that is not read."""

from dataclasses import dataclass
from pathlib import Path

from ulmfit_lib.errors import DataError

PLAIN = (".txt", ".train", ".valid", ".test")
DELIMITED = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".psv": "|"} | dict.fromkeys(PLAIN)
JSON = (".jsonl", ".ndjson", ".json", ".js")
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
ARROW = (".parquet", ".arrow", ".feather")
TABLES = (*DELIMITED, *JSON, *WORKBOOKS, *ARROW)
COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")
FORMATS = (
    ".csv, .tsv, .txt, .jsonl, .json, .xlsx, .ods, .parquet, .arrow (also .gz, .bz2, .xz, .zst or .zip), or be a "
    "folder with one subfolder of .txt files per label"
)
INSTEAD = {  # of what is often tried
    (".pkl", ".pickle", ".joblib"): "a pickle can run code when it is read: save the table as .csv or .parquet",
    (".eml", ".msg", ".mbox", ".pst"): "export the messages as .csv, with a column of their texts",
    (".docx", ".doc", ".pdf", ".rtf", ".html", ".htm"): "save its text as .txt, one file a text, in a folder per label",
    (".spacy",): 'write each doc as a line of JSON, {"text": doc.text, "cats": doc.cats}, to a .jsonl file',
    (".tar", ".tgz", ".7z", ".rar"): "unpack it, and name the file in it",
    (".db", ".sqlite", ".sqlite3", ".sql", ".duckdb"): "export the table as .csv or .parquet",
    (
        ".sav",
        ".por",
        ".xpt",
        ".dta",
        ".sas7bdat",
        ".rds",
        ".rdata",
        ".orc",
        ".avro",
        ".xml",
        ".yaml",
        ".yml",
        ".h5",
        ".npy",
        ".arff",
        ".rpt",
    ): ("save it as .csv or .parquet with the program that wrote it"),
    (".numbers", ".gsheet", ".fods", ".wk1", ".123"): "export it as .xlsx or .csv",
}


@dataclass(frozen=True)
class FileFormat:
    """How text files are written; what is None is found in each file."""

    # Of the characters, such as `cp1252`; by default UTF-8 or what a file's first bytes mark.
    encoding: str | None = None
    delimiter: str | None = None  # between columns
    quoting: str | None = None  # `double`, `backslash`, `none` or `copy` (`rows.delimited`)
    sheet: str | None = None  # of a workbook; by default the first that has the columns
    # Of labels, one a line, for a file of texts, one a line; the columns are `text` and `label`.
    label_file: str | None = None


def suffix_of(path: Path) -> str:
    """The kind of a file by its name, in small letters: ``.csv``, ``.jsonl``, ``.parquet`` ..., compressed or not.

    Raises:
        DataError: no kind that is read, and what to do with it; or an archive of no table or several.
    """
    name = Path(table_in(path)) if path.suffix.lower() == ".zip" else path
    suffixes = [suffix.lower() for suffix in name.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix in TABLES:
        return suffix
    if advice := advice_for(suffix):
        raise DataError(f"{path}: a {suffix} file cannot be read; {advice}")
    raise DataError(f"{path}: cannot tell the kind of file from its name; it must end in {FORMATS}")


def advice_for(suffix: str) -> str:
    """What to do with a kind of file that is not read; "" for all others."""
    return next((advice for endings, advice in INSTEAD.items() if suffix in endings), "")


def no_such_file(path: Path) -> DataError:
    """What to say of a file that is not there."""
    is_address = str(path).startswith(("http:/", "https:/"))
    way = "; it is an address, and nothing is downloaded: save the file here, and name that" if is_address else ""
    return DataError(f"{path}: no such file{way}")


def check_kind(path: Path) -> None:
    """Refuse what is not there, or cannot be a table or a folder of texts."""
    if not path.exists():
        raise no_such_file(path)
    if not path.is_dir():
        suffix_of(path)


def table_in(path: Path) -> str:
    """The name of the one table in a .zip archive; pages that describe it do not count.

    Raises:
        DataError: the archive is missing or damaged, or holds no table or several.
    """
    import zipfile  # which takes a while, and the most files do without

    try:
        with zipfile.ZipFile(path) as archive:
            names = [one.filename for one in archive.infolist() if not one.is_dir()]
    except FileNotFoundError as error:
        raise no_such_file(path) from error
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a whole .zip file ({error})") from error
    shown = [one for one in names if not one.startswith("__MACOSX/") and not Path(one).name.startswith((".", "~$"))]
    tables = [name for name in shown if Path(name).suffix.lower() in TABLES]
    tables = [name for name in tables if Path(name).stem.casefold() not in ("readme", "license", "licence")]
    if len(tables) == 1:
        return tables[0]
    found = (
        f"{len(tables)} tables, {' and '.join(map(repr, tables[:2]))}"
        if tables
        else f"no table among {len(names)} files"
    )
    raise DataError(f"{path}: holds {found}: unpack it, and name the file, or the folder of texts, that you mean")


def upload_name(given: str | None) -> str:
    """A name for a file that somebody sent: nothing but what tells its kind, ``.csv`` where that is unknown.

    >>> upload_name("../My table.XLSX"), upload_name("a.docx"), upload_name("a.csv.gz"), upload_name("a.dat")
    ('input.xlsx', 'input.docx', 'input.csv.gz', 'input.csv')
    """
    suffixes = [suffix.lower() for suffix in Path(given or "").suffixes]
    packed = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSED else ""
    if packed == ".zip":
        return "input.zip"
    known = (*TABLES, *(suffix for endings in INSTEAD for suffix in endings))
    return f"input{suffixes[-1]}{packed}" if suffixes and suffixes[-1] in known else "input.csv"
