"""For the API reference: examples in docstrings become blocks of code, where Markdown would see quotes in quotes."""

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\n).+)*", re.MULTILINE)


class ExamplesAsCode(griffe.Extension):
    """Puts fences around what starts with ``>>>``, and leaves out doctest's remarks."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each object when it is read."""
        if obj.docstring:
            value = re.sub(r" *# doctest: \+\w+", "", obj.docstring.value)
            obj.docstring.value = EXAMPLE.sub(lambda found: f"```pycon\n{found.group()}\n```", value)
