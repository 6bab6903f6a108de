"""matplotlib figures as inline SVG that follow the page: its font, its colours, light and dark."""

from __future__ import annotations

import io
import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

TEXT = "#7e0001"
"""Stands for the colour of the text around the figure."""

LINE = "#7e0002"
"""Stands for the colour of thin rules."""

PAPER = "#7e0003"
"""Stands for the background."""

MARKED = "#7e0004"
"""Stands for the accent."""

N_COLOURS = 7
DASHES = ("solid", (0, (5, 2)), (0, (1, 1.5)), (0, (7, 2, 1.5, 2)))
"""Line styles; with seven colours, 28 series differ in one or the other, neighbours in both."""

_PLACEHOLDERS = {
    TEXT: "currentColor",
    LINE: "var(--rule)",
    PAPER: "var(--paper)",
    MARKED: "var(--accent)",
    **{f"#7d00{n:02d}": f"var(--series-{n})" for n in range(N_COLOURS)},
}

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "taskmark",
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.size": 10,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.edgecolor": TEXT,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
}


def series_colour(place: int) -> str:
    """Colour of the series at a place in the order of all series of the page."""
    return f"#7d00{place % N_COLOURS:02d}"


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of the page, whatever the user's own matplotlib settings are."""
    with warnings.catch_warnings():
        # The browser has its own fonts; that matplotlib's lacks a letter of a name is no matter.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_STYLE)
            yield


def inline(figure: Figure, description: str) -> Markup:
    """Render a figure as an `<svg>` element for a page.

    Args:
        figure: drawn within `style()`, with the colours of this module.
        description: what it shows, for those who do not see it.

    Returns:
        The element: no fixed size, no ids but those it refers to, colours as CSS variables. What
        has the gid "series-N" gets the attribute data-series="N".
    """
    buffer = io.StringIO()
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=metadata)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->|<style.*?</style>|font-family:[^;\"]*;", "", text, flags=re.DOTALL)
    text = re.sub(r"\s*\n\s*", " ", text)
    text = re.sub(r' id="series-(\d+)"', r' data-series="\1"', text)
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", text))
    text = re.sub(
        r' id="([^"]*)"', lambda found: found.group(0) if found.group(1) in used else "", text
    )
    for placeholder, colour in _PLACEHOLDERS.items():
        text = text.replace(placeholder, colour)
    opening, rest = text.split(">", 1)
    view_box = re.search(r'viewBox="[^"]*"', opening)
    frame = view_box.group(0) if view_box else ""
    return (
        Markup('<svg role="img" aria-label="{}" ').format(description)
        + Markup(f'xmlns:xlink="http://www.w3.org/1999/xlink" {frame}>')  # noqa: S704
        + Markup(rest)  # noqa: S704 - matplotlib escapes the texts it draws
    )
