"""A contact sheet of the tasks, one row each: `python -m taskmark.suites.mini.picture`."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import matplotlib as mpl
import numpy as np
import typer
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from taskmark.suites.mini.tasks import TASKS, load

if TYPE_CHECKING:
    from taskmark.suites.task_data import TaskData

PICTURE = Path(__file__).parent / "tasks.png"
COLUMNS = 10


def main(*, out: Annotated[Path, typer.Option(help="Where the picture goes.")] = PICTURE) -> None:
    """Draw ten training images of each task, of classes as different as there are."""
    with mpl.rc_context({"font.family": "DejaVu Sans", "text.hinting": "none"}):
        figure = sheet({name: load(name) for name in TASKS})
        FigureCanvasAgg(figure).print_png(out, metadata={"Software": None})  # type: ignore[no-untyped-call]


def sheet(tasks: dict[str, TaskData]) -> Figure:
    """One row a task: its name, then images with their class names below."""
    figure = Figure(figsize=(12.0, 1.5 * len(tasks)), dpi=84)
    axes = figure.subplots(
        len(tasks), COLUMNS, gridspec_kw={"hspace": 0.75, "wspace": 0.12}, squeeze=False
    )
    figure.subplots_adjust(left=0.09, right=0.995, top=0.99, bottom=0.05)
    for row, (name, data) in zip(axes, tasks.items(), strict=True):
        for axis, k in zip(row, examples(data), strict=True):
            axis.imshow(data.train.images[k], interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            label = fill(data.classes[data.train.labels[k]], width=18)
            axis.set_xlabel(label, fontsize=6.5, labelpad=2)
        row[0].set_ylabel(name, fontsize=11, rotation=0, ha="right", va="center", labelpad=8)
    return figure


def examples(data: TaskData) -> list[int]:
    """Rows of the training split, one of each of ten classes spread over all of them."""
    classes = np.arange(COLUMNS) * len(data.classes) // COLUMNS
    return [int(np.flatnonzero(data.train.labels == label)[0]) for label in classes]


if __name__ == "__main__":
    typer.run(main)
