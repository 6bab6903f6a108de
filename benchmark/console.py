"""The one way to a terminal: any text, in any encoding, on a terminal of any width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType  # noqa: TID251 - the one place
from rich.measure import Measurement
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from rich.segment import Segment
    from rich.table import Column, Table

_WRAPPED_WIDTH = 12  # a column whose text may wrap is readable from here on
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) != "\n"}


class PlainConsole(Console):
    """Prints text as it is: what the terminal cannot show, or would obey, becomes an escape.

    File names, names of methods and messages of foreign code may hold anything.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, markup=False, highlight=False, emoji=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render as rich does, and escape the text of every segment."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else escape(segment.text, self.encoding)
            yield segment if text == segment.text else segment._replace(text=text)

    def say(self, text: str, *, style: str = "") -> None:
        """Print a text on a line of its own, however long."""
        self.print(text, style=style, soft_wrap=True)

    def show(self, table: Table, *, keep: Collection[str] = ()) -> None:
        """Print a table; where it is too wide, leave out columns, the last first, and say which.

        Args:
            table: its rows are complete; the columns that are left out are removed from it.
            keep: headers of the columns that always stay, as the first does and those without one.
        """
        for column in table.columns:  # before anything is measured
            column._cells[:] = map(self._escaped, column.cells)  # noqa: SLF001 - rich has no other way
        left_out: list[str] = []
        while (needed := self._width_of(table)) > self.width:
            optional = [c for c in table.columns[1:] if c.header and c.header not in keep]
            if not optional:
                break
            left_out.insert(0, str(optional[-1].header))
            table.columns.remove(optional[-1])
        if needed > self.width:
            table.width = needed  # the terminal breaks the lines; no number is cut
        self.print(table, crop=False)
        if left_out:
            columns = "column" if len(left_out) == 1 else "columns"
            self.say(f"Not shown on {self.width} characters: {columns} {', '.join(left_out)}.")

    def _escaped(self, cell: RenderableType) -> RenderableType:
        if isinstance(cell, str):
            return escape(cell, self.encoding)
        if isinstance(cell, Text):
            return Text(escape(cell.plain, self.encoding), style=cell.style)
        return cell

    def _width_of(self, table: Table) -> int:
        """The smallest width at which every column of a table can be read."""
        _, right, _, left = table.padding
        frame = len(table.columns) + 1 if table.box else 0
        return frame + sum(self._width_of_column(c) + left + right for c in table.columns)

    def _width_of_column(self, column: Column) -> int:
        wide = self.options.update(width=10_000)
        cells = [Measurement.get(self, wide, cell) for cell in (column.header, *column.cells)]
        if column.no_wrap:
            return max(cell.maximum for cell in cells)
        return min(max(cell.minimum for cell in cells), column.min_width or _WRAPPED_WIDTH)


def escape(text: str, encoding: str) -> str:
    """Write control characters, and letters that an encoding lacks, as Python does in a string."""
    return text.translate(_CONTROL).encode(encoding, "backslashreplace").decode(encoding)
