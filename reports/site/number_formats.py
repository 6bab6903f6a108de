"""How numbers and names are written on pages."""

from __future__ import annotations

import re
from statistics import fmean
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_MINUS = "\u2212"
_LONGEST_TICK = 13
_GREEK = {
    "alpha": "\u03b1",
    "beta": "β",
    "delta": "δ",
    "epsilon": "ε",
    "lambda": "λ",
    "sigma": "\u03c3",
    "tau": "τ",
    "theta": "θ",
    "xi": "ξ",
    "Delta": "Δ",
    "Lambda": "Λ",
    "Sigma": "Σ",
}
_SIGNS = {"sum": "∑", "prod": "∏"}
# A Greek letter with or without an index, and signs that have one: "sum" alone is a word.
_SYMBOL = re.compile(
    rf"(?<![\w.&])(?:(?P<letter>{'|'.join(_GREEK)})(?:_?(?P<of_letter>0)|_(?P<sub>[A-Za-z0-9]+)|_{{(?P<more>[^{{}}]+)}})?"
    rf"|(?P<sign>{'|'.join(_SIGNS)})_(?P<of_sign>[A-Za-z0-9]+))(?!\w)"
)


def percent(fraction: float) -> str:
    """Write a fraction as per cent to a tenth: 0.8731 -> 87.3."""
    return f"{100 * fraction:.1f}".replace("-", _MINUS)


def signed(fraction: float) -> str:
    """Write a difference as per cent with its sign: -0.0213 -> \u22122.1."""
    return f"{100 * fraction:+.1f}".replace("-", _MINUS)


def compact(number: float | None) -> str:
    """Write a count or some seconds short: 51200 -> 51,200; 3.14159 -> 3.1; 0.0213 -> 0.021."""
    if number is None:
        return ""
    if number >= 100 or float(number).is_integer():  # noqa: PLR2004
        return f"{number:,.0f}"
    if number < 0.001:  # noqa: PLR2004
        return "<0.001"
    return f"{number:.1f}" if number >= 1 else f"{number:.2g}"


def storage(n_bytes: float | None) -> str:
    """Write bytes in a unit of 1000: 24576 -> 24.6 kB."""
    if n_bytes is None:
        return ""
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:  # noqa: PLR2004
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:,.1f} GB"


def measure(value: float, low: float, high: float) -> Markup:
    """Write a share in per cent with its interval."""
    return Markup('<b>{}</b> <span class="spread">[{}, {}]</span>').format(
        percent(value), percent(low), percent(high)
    )


def breakable(text: str) -> Markup:
    """Escape a name and let it break after underscores."""
    return Markup(str(escape(text)).replace("_", "_<wbr>"))  # noqa: S704


def code(text: str) -> Markup:
    """Escape a text, set what stands in backticks as code, and the rest as mathematics."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:  # a backtick that nothing closes
        pieces[-2:] = ["`".join(pieces[-2:])]
    return Markup().join(
        Markup("<code>{}</code>").format(piece) if place % 2 else mathematics(piece)
        for place, piece in enumerate(pieces)
    )


def mathematics(text: str) -> Markup:
    """Escape a text and write its formulas in characters: theta0 + lambda sum_t tau_t."""
    return Markup(_SYMBOL.sub(_symbol, str(escape(text))))  # noqa: S704


def _symbol(found: re.Match[str]) -> str:
    index = found["of_letter"] or found["sub"] or found["more"] or found["of_sign"]
    sign = _GREEK[found["letter"]] if found["letter"] else _SIGNS[found["sign"]]
    return f"{sign}<sub>{index}</sub>" if index else sign


def shortened(text: str) -> str:
    """Cut a name that would not fit under a column of a picture."""
    return text if len(text) <= _LONGEST_TICK else f"{text[: _LONGEST_TICK - 1]}…"


def needs(track: str, images: float | None, seconds: float | None) -> str:
    """Write what an edit takes in words: "0.2 s, no data"; "13 s, 4,000 images with labels"."""
    time = "" if seconds is None else f"{compact(seconds)} s, "
    if track == "weights" or not images:
        return f"{time}no data"
    return f"{time}{compact(images)} images{' with labels' if track == 'labelled' else ''}"


def mean_of(numbers: Iterable[float | None]) -> float | None:
    """Mean of those that are known, None where none is."""
    known = [number for number in numbers if number is not None]
    return fmean(known) if known else None


FILTERS: dict[str, Callable[..., object]] = {
    "breakable": breakable,
    "code": code,
    "compact": compact,
    "percent": percent,
    "shortened": shortened,
    "signed": signed,
    "storage": storage,
}
"""For the templates."""
