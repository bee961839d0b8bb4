"""Tools for agents, by the Model Context Protocol: from a CSV to a classifier that answers.

All files that they read and write lie in one folder, which the user names.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from ulmfit_lib.cli.running import load_classifier
from ulmfit_lib.errors import OptionError, UlmfitError
from ulmfit_lib.version import __version__

SHOWN_ROWS, SHOWN_CHARACTERS = 5, 300
MOST_TEXTS = 1000  # in one call
SECONDS = 2.0  # between two signs of life of a training
INSTRUCTIONS = (
    "Train and use text classifiers on this machine. Call look_at_file to see a file's columns, fit to train a "
    "classifier from its column of texts and its column of labels, then predict. Paths are relative to the folder "
    "that the user has opened."
)


def inside(folder: Path, name: str) -> Path:
    """A path within a folder, whatever links there are on the way; an OptionError for one that leads out of it."""
    try:
        found = (folder / name).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise OptionError(f"{name!r} cannot be a path ({error})") from error
    if not found.is_relative_to(folder.resolve()):
        raise OptionError(f"{name!r} leads out of the folder that the user has opened: name a path within it")
    return found


def within(folder: Path, said: str) -> str:
    """A sentence with the paths as the agent names them."""
    return said.replace(f"{folder.resolve()}/", "")


def build_server(folder: Path) -> MCPServer[Any]:
    """A server whose tools see this folder and nothing else."""
    server: MCPServer[Any] = MCPServer("ulmfit", version=__version__, instructions=INSTRUCTIONS)

    @contextmanager
    def in_a_sentence() -> Iterator[None]:
        """What a user would read as an error, an agent reads, too."""
        try:
            yield
        except UlmfitError as error:
            raise ToolError(within(folder, str(error))) from error

    @server.tool()
    @in_a_sentence()
    def look_at_file(file: str) -> dict[str, Any]:
        """The columns, the first rows and the number of rows of a CSV, TSV, JSON Lines or Parquet file."""
        from ulmfit_lib.rows.reader import read_rows

        parts = read_rows(inside(folder, file), [])
        first = next(parts)
        shown = zip(*(column[:SHOWN_ROWS] for column in first.columns), strict=True)
        return {
            "columns": list(first.names),
            "rows": len(first) + sum(map(len, parts)),
            "first_rows": [["" if cell is None else str(cell)[:SHOWN_CHARACTERS] for cell in row] for row in shown],
        }

    @server.tool()
    async def fit(context: Context, file: str, text: str, label: str, model: str) -> str:
        """Train a classifier on a file and save it; takes minutes. Says how good it is on held-out rows.

        `text` and `label` are columns of the file; rows with an empty label help, too. `model` is the folder to make.
        """
        from ulmfit_lib.pipeline.fit_file import fit_file

        with in_a_sentence():
            source, out = inside(folder, file), inside(folder, model)
            work = asyncio.create_task(asyncio.to_thread(fit_file, source, out, text=text, label=label))
            began = time.monotonic()
            while not (await asyncio.wait([work], timeout=SECONDS))[0]:
                seconds = time.monotonic() - began
                await context.report_progress(seconds, message=f"training for {seconds:.0f} seconds")
            return within(folder, work.result())

    @server.tool()
    @in_a_sentence()
    def report(model: str) -> str:
        """What a classifier is worth: its scores on held-out rows beside those of simpler methods."""
        found = load_classifier(inside(folder, model)).training.report
        return found.sentence if found else "This classifier was made without `fit`, so its folder holds no report."

    @server.tool()
    @in_a_sentence()
    def predict(model: str, texts: list[str]) -> list[dict[str, Any]]:
        """The label of each text and its confidence; at most 1,000 texts a call."""
        if len(texts) > MOST_TEXTS:
            raise OptionError(f"{len(texts):,} texts: at most {MOST_TEXTS:,} in one call")
        classifier = load_classifier(inside(folder, model))
        if not texts:
            return []
        said, outside = classifier.judge(texts)
        found = zip(classifier.decode(said, 0.0, outside), classifier.confidence(said), strict=True)
        return [{"label": label, "confidence": round(float(one), 4)} for label, one in found]

    @server.tool()
    @in_a_sentence()
    def explain(model: str, text: str, label: str | None = None) -> dict[str, Any]:
        """What each word of a text adds to the log odds of its label, or of `label`."""
        return dict(load_classifier(inside(folder, model)).explain(text, label=label).as_dict())

    @server.tool()
    @in_a_sentence()
    def suggest_labels(model: str, file: str, text: str, n: int = 20) -> list[dict[str, Any]]:
        """The texts of a file whose labels would help a classifier most: their rows, and why."""
        from ulmfit_lib.data.reading import read_table
        from ulmfit_lib.insight.suggestions import suggest_labels
        from ulmfit_lib.models.classifier import TextClassifier

        classifier = TextClassifier.load(inside(folder, model))
        table = read_table(inside(folder, file), text=text)
        found = suggest_labels(
            classifier.embed(table.texts),
            n=n,
            probabilities=classifier.ruled(classifier.predict_proba(table.texts)),
            known=classifier.training.last.labelled_texts,
        )
        return [
            {"row": table.rows[one.place], "text": table.texts[one.place][:SHOWN_CHARACTERS], "why": one.why}
            for one in found
        ]

    return server
