"""Charts as inline SVG: small, sharp in print, and coloured by the page's own style in light and dark."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 440, 260
LEFT, RIGHT, TOP, BOTTOM = 60, 22, 12, 42
SHAPES = 6  # classes that the map tells apart by colour and shape; more share the last one
Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """What an axis shows.

    Attributes:
        low: its beginning.
        high: its end.
        label: what stands beside it.
        ticks: where it is marked.
        shown: a number -> what stands at its mark.
        log: each step is a factor.
    """

    low: float
    high: float
    label: str
    ticks: Sequence[float]
    shown: Callable[[float], str] = "{:g}".format
    log: bool = False

    @classmethod
    def over(cls, values: Sequence[float], label: str, *, shown: Callable[[float], str] = "{:g}".format) -> "Axis":
        """One that holds all values, with marks at round numbers."""
        low, high = min(values), max(values)
        high = high if high > low else low + 1
        step = round_step((high - low) / 4)
        first, last = math.floor(low / step), math.ceil(high / step)
        ticks = [number * step for number in range(first, last + 1)]
        return cls(ticks[0], ticks[-1], label, ticks, shown)

    def share(self, value: float) -> float:
        """How far along the axis a value is, in [0, 1]."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return min(max((value - low) / (high - low), 0.0), 1.0)


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: in the legend.
        points: that it joins.
        style: classes of the page's style, such as ``c1 dashed``.
        sizes: radius of a dot at each point; empty: none.
        joined: off, there are dots alone.
    """

    name: str
    points: Sequence[Point]
    style: str = "c1"
    sizes: Sequence[float] = ()
    joined: bool = True


def round_step(rough: float) -> float:
    """The round number next to a step.

    >>> round_step(0.27), round_step(730)
    (0.25, 500.0)
    """
    power = 10.0 ** math.floor(math.log10(rough))
    return min((1, 2, 2.5, 5, 10), key=lambda one: abs(one * power - rough)) * power


def line_chart(
    title: str,
    lines: Sequence[Line],
    x: Axis,
    y: Axis,
    *,
    band: Sequence[tuple[float, float, float]] = (),
    marks: Sequence[float] = (),
) -> Markup:
    """Lines and dots, a legend above them, and perhaps a band: an x with a low and a high y each; marks are x."""

    def at(point: Point) -> Point:
        return _x(x.share(point[0])), _y(y.share(point[1]))

    parts = [_grid(x, y)]
    if band:
        upper = [at((place, high)) for place, _, high in band]
        lower = [at((place, low)) for place, low, _ in reversed(band)]
        parts.append(_tag("polygon", points=_joined([*upper, *lower]), class_="band"))
    for mark in marks:
        place = _x(x.share(mark))
        parts.append(_tag("line", x1=place, x2=place, y1=TOP, y2=HEIGHT - BOTTOM, class_="mark"))
    for line in lines:
        places = [at(point) for point in line.points]
        if line.joined:
            parts.append(_tag("polyline", points=_joined(places), class_=f"line {line.style}"))
        for (cx, cy), size in zip(places, line.sizes, strict=False):
            parts.append(_tag("circle", cx=cx, cy=cy, r=size, class_=f"dot {line.style}"))
    return _svg(title, parts) + legend([(line.name, line.style) for line in lines if line.name])


def histogram(title: str, counts: Sequence[float], x: Axis, y_label: str) -> Markup:
    """Bars side by side that fill the x axis."""
    y = Axis.over([0, *counts], y_label, shown="{:,.0f}".format)
    wide = (WIDTH - LEFT - RIGHT) / max(len(counts), 1)
    bars = [
        _tag(
            "rect",
            x=LEFT + wide * place + 0.5,
            y=_y(y.share(count)),
            width=max(wide - 1, 0.5),
            height=_y(0) - _y(y.share(count)),
            class_="bar",
        )
        for place, count in enumerate(counts)
    ]
    return _svg(title, [_grid(x, y), *bars])


def text_map(title: str, points: Sequence[Point], groups: Sequence[int], wrong: Sequence[bool]) -> Markup:
    """Texts as points of [0, 1] squared; each group has its shape and colour, and a ring is round what was wrong."""
    side = HEIGHT + 120
    marks = []
    for (px, py), group, ring in zip(points, groups, wrong, strict=True):
        cx, cy, number = 14 + px * (WIDTH - 28), 14 + (1 - py) * (side - 28), min(group, SHAPES - 1)
        marks.append(_shape(number, cx, cy))
        if ring:
            marks.append(_tag("circle", cx=cx, cy=cy, r=6.5, class_="ring"))
    return _svg(title, marks, height=side)


def legend(entries: Sequence[tuple[str, str]]) -> Markup:
    """Names beside a piece of their line; nothing for a single one."""
    if len(entries) < 2:
        return Markup("")
    items = Markup("").join(
        Markup('<li><svg class="key" viewBox="0 0 22 10" aria-hidden="true">{}</svg>{}</li>').format(
            _tag("line", x1=1, x2=21, y1=5, y2=5, class_=f"line {style}"), name
        )
        for name, style in entries
    )
    return Markup('<ul class="legend">{}</ul>').format(items)


def shape_key(number: int) -> Markup:
    """The shape that a group has on the map, for its legend."""
    return Markup('<svg class="key" viewBox="0 0 12 12" aria-hidden="true">{}</svg>').format(
        _shape(min(number, SHAPES - 1), 6, 6)
    )


def _shape(number: int, x: float, y: float) -> Markup:
    style, r = f"shape s{number + 1}", 3.6
    if number in (0, SHAPES - 1):
        return _tag("circle", cx=x, cy=y, r=r, class_=style)
    corners = {
        1: [(0, -1.25), (1.15, 0.85), (-1.15, 0.85)],
        2: [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        3: [(0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)],
        4: [(0, 1.25), (1.15, -0.85), (-1.15, -0.85)],
    }[number]
    return _tag("polygon", points=_joined([(x + r * dx, y + r * dy) for dx, dy in corners]), class_=style)


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def _grid(x: Axis, y: Axis) -> Markup:
    """Lines at the y axis's marks, and what stands at both axes."""
    parts = []
    for tick in y.ticks:
        height = _y(y.share(tick))
        parts.append(_tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=height, y2=height, class_="grid"))
        parts.append(_text(y.shown(tick), LEFT - 7, height + 4, "end"))
    for tick in x.ticks:
        parts.append(_text(x.shown(tick), _x(x.share(tick)), HEIGHT - BOTTOM + 17, "middle"))
    parts.append(_text(x.label, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "middle", "axis"))
    turned = Markup(' transform="rotate(-90 {0} {1})"').format(10, (TOP + HEIGHT - BOTTOM) / 2)
    parts.append(_text(y.label, 10, (TOP + HEIGHT - BOTTOM) / 2, "middle", "axis", turned))
    return Markup("").join(parts)


def _text(text: str, x: float, y: float, anchor: str, style: str = "tick", more: Markup | str = "") -> Markup:
    place = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" class="{}"{}>').format(x, y, anchor, style, more)
    return place + escape(text) + Markup("</text>")


def _joined(points: Sequence[Point]) -> str:
    return " ".join(f"{px:.1f},{py:.1f}" for px, py in points)


def _tag(name: str, **attributes: str | float) -> Markup:
    shown = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_"), f"{value:.4g}" if isinstance(value, float) else value)
        for key, value in attributes.items()
    )
    return Markup("<{}{}/>").format(Markup(name), shown)


def _svg(title: str, parts: Sequence[Markup], *, height: int = HEIGHT) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img"><title>{}</title>{}</svg>').format(
        WIDTH, height, title, Markup("").join(parts)
    )
