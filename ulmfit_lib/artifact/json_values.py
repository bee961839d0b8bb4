"""Dataclasses to JSON and back, each value checked by the type of its field: files may be strangers'."""

import types
from dataclasses import MISSING, asdict, fields, is_dataclass
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from ulmfit_lib.errors import ArtifactError

Value = TypeVar("Value")


class Stored:
    """A dataclass that a file holds; what the file holds beside its fields is in ``more``."""

    def as_json(self) -> dict[str, Any]:
        """As the file holds it: without what is None, and with ``more`` beside the fields."""
        record: Any = self
        found = {one.name: _plain(getattr(record, one.name)) for one in fields(record) if one.name != "more"}
        return {**{name: value for name, value in found.items() if value is not None}, **record.more}


def read_fields(cls: type[Value], found: dict[str, Any], place: str) -> Value:
    """A dataclass from its fields' values; what else there is goes into ``more`` if it has such a field."""
    types_of, known = get_type_hints(cls), {one.name: one for one in fields(cls)}  # type: ignore[arg-type]
    values = {name: read_value(types_of[name], found[name], f"{place}.{name}") for name in known if name in found}
    for name, one in known.items():
        if name not in values and one.default is one.default_factory is MISSING:
            raise ArtifactError(f"{place}: it lacks {name!r}")
    if "more" in known:
        values["more"] = {name: value for name, value in found.items() if name not in known} | values.get("more", {})
    return cls(**values)


def read_value(kind: Any, value: Any, place: str) -> Any:
    """A value of a type, such as ``list[int]``, from JSON; an ArtifactError names the ``place`` of one of another type.

    >>> read_value(dict[str, float], {"forward": 1}, "here")
    {'forward': 1}
    """
    origin, inside = get_origin(kind), get_args(kind)
    if kind is Any or type(value) is kind or (kind is float and type(value) is int):
        return value
    if origin is types.UnionType:  # with None
        return None if value is None else read_value(inside[0], value, place)
    if origin in (list, tuple) and isinstance(value, list | tuple):
        return origin(read_value(inside[0], one, place) for one in value)
    if origin is dict and isinstance(value, dict):
        return {name: read_value(inside[1], one, f"{place}.{name}") for name, one in value.items()}
    if is_dataclass(kind) and isinstance(value, dict):
        return read_fields(cast("type[Any]", kind), value, place)
    wanted = getattr(kind, "__name__", str(kind))
    raise ArtifactError(f"{place}: {str(value)[:60]!r} is no {wanted}")


def _plain(value: Any) -> Any:
    if isinstance(value, Stored):
        return value.as_json()
    if hasattr(value, "as_dict"):
        return value.as_dict()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
