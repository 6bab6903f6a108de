"""The forecast of a run: what its jobs cost in forward passes, bytes of disk and of memory.

A pass of one image through the encoder is the unit. Other passes are counted as so many of it, as
vision transformers take them (measured on timm's towers, S/16 to B/32, on a CPU): a forward pass
with its derivative along the task vector 3.1, one with a backward pass 3, a step of tuning the
linearised model 5.5.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taskmark.contract.recipe import Mode, recipe_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from taskmark.contract.method import Method
    from taskmark.engine.jobs import Job
    from taskmark.suite.definition import Suite
    from taskmark.suites.task_data import Sizes

READING: dict[Mode, float] = {"standard": 1.0, "tangent": 3.1}
TUNING: dict[Mode, float] = {"standard": 3.0, "tangent": 5.5}
BACKWARD = 3.0

_FLOAT = 4  # bytes
_STATES = 5  # of tuning: theta0, theta, its gradient, two moments
_KEPT_STATES = 3  # of a checkpoint: theta and two moments


@dataclass(frozen=True, slots=True)
class Network:
    """What a run needs to know of an encoder.

    Attributes:
        n_parameters: how many numbers are edited.
        reading: images a second that pass forward in evaluation, in one process.
        tuning: likewise in the precision that experts are tuned in.
    """

    n_parameters: int
    reading: float
    tuning: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run is going to take.

    Attributes:
        seconds: of one process, by the kind of job.
        n_bytes: that it adds to the store.
        memory: bytes that its largest job holds of weights alone, without activations.
    """

    seconds: dict[str, float]
    n_bytes: int
    memory: int

    @property
    def total_seconds(self) -> float:
        """Of all jobs, one after the other."""
        return sum(self.seconds.values())


def forecast(
    jobs: Iterable[Job],
    suite: Suite,
    *,
    tasks: Mapping[str, str],
    sizes: Mapping[str, Sizes],
    networks: Mapping[str, Network],
    methods: Mapping[str, type[Method]],
) -> Forecast:
    """Add up what jobs cost.

    A method that may look at images is taken to use the whole budget of gradient images, so this is
    rather too much than too little. What draws images, and the space of images that a suite draws
    itself, are not in it.

    Args:
        jobs: those that are left to do.
        suite: its protocol says how often what is read.
        tasks: key of the inputs -> task.
        sizes: of each task of which they are known; the others count nothing.
        networks: by the name of the backbone.
        methods: by name.
    """
    seconds: dict[str, float] = defaultdict(float)
    n_bytes = memory = 0
    for job in jobs:
        backbone = _backbone(job.arguments)
        if backbone is None:
            continue
        network, work = networks[backbone], _Work(job, suite, tasks, sizes, methods)
        reading, tuning = work.passes()
        seconds[job.kind] += reading / network.reading + tuning / network.tuning
        n_bytes += _FLOAT * network.n_parameters * work.n_vectors_kept()
        memory = max(memory, _FLOAT * network.n_parameters * work.n_vectors_held())
    if seconds["experts"]:
        n_bytes += _FLOAT * _KEPT_STATES * max(n.n_parameters for n in networks.values())
    return Forecast({kind: spent for kind, spent in seconds.items() if spent}, n_bytes, memory)


def _backbone(arguments: Mapping[str, Any]) -> str | None:
    if "row" in arguments:
        return str(arguments["row"].stand.backbone)
    if "stand" in arguments:
        return str(arguments["stand"].backbone)
    return arguments.get("backbone")


class _Work:
    """The passes and the vectors of one job."""

    def __init__(
        self,
        job: Job,
        suite: Suite,
        tasks: Mapping[str, str],
        sizes: Mapping[str, Sizes],
        methods: Mapping[str, type[Method]],
    ) -> None:
        self._job, self._arguments = job, job.arguments
        self._suite, self._tasks, self._sizes, self._methods = suite, tasks, sizes, methods

    def passes(self) -> tuple[float, float]:
        """Forward passes in evaluation, and what tuning and learning take, as forward passes."""
        of_kind = {
            "heads": self._head,
            "experts": self._expert,
            "normaliser": self._normaliser,
            "records": self._row,
            "disentanglement": self._grid,
            "negation": self._negation,
            "localisation": self._localisation,
        }
        return of_kind[self._job.kind]() if self._job.kind in of_kind else (0.0, 0.0)

    def n_vectors_kept(self) -> int:
        """How many vectors as long as theta0 the job leaves in the store."""
        if self._job.kind == "experts":
            return 1
        return len(self._suite.tasks) + 1 if self._job.kind == "vectors" else 0

    def n_vectors_held(self) -> int:
        """How many such vectors are in memory at once: all of them while they are merged."""
        n_tasks = len(self._suite.tasks)
        held = {"experts": _STATES, "vectors": 2 * n_tasks + 1, "records": n_tasks + _STATES}
        return held.get(self._job.kind, 2)

    def _n(self, split: str, tasks: Iterable[str]) -> int:
        return sum(getattr(self._sizes[task], split) for task in tasks if task in self._sizes)

    def _mode(self) -> Mode:
        arguments = self._arguments
        stand = arguments["row"].stand if "row" in arguments else arguments["stand"]
        return recipe_named(stand.recipe).read

    def _searched(self, n_images: int, mode: Mode) -> float:
        # A model that is linear in its weights is read once for all scales.
        return READING[mode] * n_images * (self._suite.protocol.trials if mode == "standard" else 1)

    def _head(self) -> tuple[float, float]:
        heads = self._suite.backbones[self._arguments["backbone"]].heads
        if heads == "zero-shot":
            return 0.0, 0.0
        task = self._tasks.get(self._arguments["inputs"])
        return self._probed([task] if task else []), 0.0

    def _probed(self, tasks: Iterable[str]) -> float:
        tasks = list(tasks)
        return self._n("train", tasks) + self._n("validation", tasks)

    def _expert(self) -> tuple[float, float]:
        if "mode" not in self._arguments:  # somebody else tuned it
            return 0.0, 0.0
        task, mode = self._arguments["task"], self._arguments["mode"]
        epochs = self._suite.tuning(task, mode).epochs
        return 0.0, TUNING[mode] * epochs * self._n("train", [task])

    def _normaliser(self) -> tuple[float, float]:
        factor = READING[recipe_named(self._arguments["recipe"]).read]
        tasks = self._arguments["inputs"]
        return factor * (self._n("validation", tasks) + self._n("test", tasks)), 0.0

    def _row(self) -> tuple[float, float]:
        row, mode = self._arguments["row"], self._mode()
        method, tasks = self._methods[row.choice.name], row.stand.inputs
        reading = READING[mode] * self._n("test", tasks)
        if method.scale_range is not None:
            reading += self._searched(self._n("validation", tasks), mode)
        if method.role == "baseline":  # it probes heads of its own
            reading += self._probed(tasks)
        return reading, self._learning(method)

    def _learning(self, method: type[Method]) -> float:
        learns = method.track != "weights" and method.role == "competitor"
        return BACKWARD * self._suite.protocol.gradient_images if learns else 0.0

    def _grid(self) -> tuple[float, float]:
        grid, mode = self._suite.protocol.disentanglement, self._mode()
        points = len(grid.alphas) ** 2 if mode == "standard" else 2
        paired = [task for pair in grid.pairs for task in pair]
        return READING[mode] * points * self._looked_at(paired, grid.n_images), 0.0

    def _negation(self) -> tuple[float, float]:
        mode, reading = self._mode(), 0.0
        for target, controls in self._arguments["controls"].items():
            tasks = (target, *controls)
            reading += self._searched(self._n("validation", tasks), mode)
            reading += 2 * READING[mode] * self._n("test", tasks)
        if "row" not in self._arguments:
            return reading, 0.0
        return reading, self._learning(self._methods[self._arguments["row"].choice.name])

    def _localisation(self) -> tuple[float, float]:
        rule, tasks = self._suite.protocol.localisation, tuple(self._arguments["inputs"])
        return 0.0, BACKWARD * rule.n_directions * self._looked_at(tasks, rule.n_images)

    def _looked_at(self, tasks: Sequence[str], n_images: int) -> int:
        known = [self._sizes[task] for task in tasks if task in self._sizes]
        return sum(min(n_images, size.test) for size in known)


def in_words(found: Forecast, *, device: str, processes: int) -> str:
    """Say what a run is going to take.

    Args:
        found: the forecast.
        device: "cpu" or "cuda".
        processes: how many share the work.
    """
    unit = "GPU" if device.startswith("cuda") else "CPU"
    kinds = ", ".join(
        f"{kind} {_hours(spent)}" for kind, spent in sorted(found.seconds.items(), key=_longest)
    )
    wall = f", {_hours(found.total_seconds / processes)} in {processes} processes"
    return (
        f"about {_hours(found.total_seconds)} of {unit} time{wall if processes > 1 else ''} "
        f"({kinds or 'nothing to compute'}), {_size(found.n_bytes)} on disk, and "
        f"{_size(found.memory)} of memory a process, besides activations"
    )


def _longest(entry: tuple[str, float]) -> float:
    return -entry[1]


def _hours(seconds: float) -> str:
    if seconds < 90:  # noqa: PLR2004 - then minutes say more
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"  # noqa: PLR2004


def _size(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e8 else f"{n_bytes / 1e6:.0f} MB"  # noqa: PLR2004
