"""Before a run starts: whether the disk has room, and, where asked, how long it takes here.

Stages say what they cost in items passed forward; seconds come only from batches that are passed on
this machine.
"""

from __future__ import annotations

import math
import shutil
import time
from collections import defaultdict
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from taskmark.contract.weights import WeightSpace
from taskmark.errors import TaskmarkError
from taskmark.inference.passes import fast_dtype
from taskmark.machine import determinism, out_of_memory
from taskmark.stages.task_inputs import Data
from taskmark.suite.provider import fetched
from taskmark.suites.task_data import Sizes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import Tensor, nn

    from taskmark.engine.job import Job
    from taskmark.engine.stage_store import StageStore
    from taskmark.stages.model import Model
    from taskmark.suite.provider import Provider
    from taskmark.suite.suite_file import Suite

_FLOAT = 4  # bytes
_SIDE = 224  # of the images that a speed is measured on, pixels
_FIRST = 2  # items of the pass that tells how many fit into a short time
_PASS_SECONDS = 0.25
_MEASURED_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast items pass forward through an encoder here, in one process, items a second."""

    reading: float
    learning: float


def require_space(todo: Sequence[Job], store: StageStore) -> None:
    """See that the disk of the store holds what the jobs add to it.

    Raises:
        TaskmarkError: if it does not.
    """
    n_bytes = _n_bytes(todo, {})
    free = shutil.disk_usage(store.store.root).free
    if free < n_bytes:
        raise TaskmarkError(
            f"The run needs {n_bytes / 1e9:.1f} GB in the store {str(store.store.root)!r}, where "
            f"{free / 1e9:.1f} GB are free; make room, or name another folder with --store."
        )


def describe_cost(todo: Sequence[Job], suite: Suite, store: StageStore, processes: int) -> str:
    """Say what jobs are going to take on this machine, after passing a few batches.

    What fetches and draws items is not counted, and a learning method is taken to use its whole
    budget, so this is an upper bound otherwise.
    """
    tasks = list(dict.fromkeys(job.stage.task for job in todo if isinstance(job.stage, Data)))
    tasks = tasks or list(suite.tasks)
    sizes = _sizes_of(suite, tasks)
    seconds: dict[str, float] = defaultdict(float)
    speeds: dict[Model, Speed] = {}
    held = 0
    for job in todo:
        cost = job.stage.cost(sizes)
        if cost.model is None:
            continue
        if cost.model not in speeds:
            speeds[cost.model] = measure_speed(cost.model, suite, store)
        speed = speeds[cost.model]
        seconds[job.kind] += cost.reading / speed.reading + cost.learning / speed.learning
        held = max(held, _FLOAT * cost.held * _n_parameters(cost.model))
    total = sum(seconds.values())
    kinds = ", ".join(
        f"{kind} {_hours(spent)}"
        for kind, spent in sorted(seconds.items(), key=lambda entry: -entry[1])
        if spent
    )
    unit = "GPU" if store.device.startswith("cuda") else "CPU"
    wall = f", {_hours(total / processes)} in {processes} processes" if processes > 1 else ""
    estimate = (
        f"Estimate from batches passed here: about {_hours(total)} of {unit} time{wall} "
        f"({kinds or 'nothing to compute'}), {_size(_n_bytes(todo, sizes))} on disk, and "
        f"{_size(held)} of memory per process, besides activations."
    )
    said = [estimate]
    if absent := {task: size for task, size in sizes.items() if not size.is_here}:
        said.append(
            f"The items of {', '.join(absent)} are not on this machine yet; decoded, they take "
            f"{sum(size.n_bytes for size in absent.values()) / 1e9:.1f} GB."
        )
    if unknown := [task for task in tasks if task not in sizes]:
        said.append(f"The size of {', '.join(unknown)} is unknown, and left out.")
    return " ".join(said)


def measure_speed(model: Model, suite: Suite, store: StageStore) -> Speed:
    """Pass a few batches through an encoder; nothing stays on the device.

    Raises:
        TaskmarkError: if memory does not suffice for one item.
    """
    if store.device.startswith("cuda"):
        determinism.require_determinism()  # nothing ran on a GPU before, in this process
    try:
        encoder, inputs = _sample(model, suite)
        encoder, inputs = encoder.to(store.device), inputs.to(store.device)
        learning = items_per_second(encoder, inputs, dtype=torch.float32)
        fast = fast_dtype(store.torch_device)
        reading = items_per_second(encoder, inputs, dtype=fast) if fast else learning
        return Speed(reading, learning)
    except Exception as error:
        if not out_of_memory.is_out_of_memory(error):
            raise
        raise TaskmarkError(
            f"While measuring how fast items pass through {model.weights!r}: "
            f"{out_of_memory.explain(error)}; choose a smaller backbone, or another machine."
        ) from error
    finally:
        out_of_memory.free_unused()


def items_per_second(encoder: nn.Module, inputs: Tensor, *, dtype: torch.dtype) -> float:
    """How many inputs a second pass forward through an encoder, where both lie.

    On a CPU one thread works, as in the processes of a run.

    Args:
        encoder: in evaluation mode.
        inputs: one batch, [B, ...]; as many of it are used at once as pass in a short time, and
            as fit into memory.
        dtype: of the computation.

    Raises:
        Exception: if memory does not suffice for one item, what torch says of that.
    """
    device = inputs.device.type
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    low = dtype != torch.float32
    try:
        with torch.inference_mode(), torch.autocast(device, dtype=dtype) if low else nullcontext():
            while True:
                try:
                    return _speed(encoder, inputs)
                except Exception as error:
                    if not out_of_memory.is_out_of_memory(error) or len(inputs) == 1:
                        raise
                inputs = inputs[: len(inputs) // 2]
                out_of_memory.free_unused()  # only now, when the error holds no frame any more
    finally:
        torch.set_num_threads(threads)


def _speed(encoder: nn.Module, inputs: Tensor) -> float:
    few = inputs[:_FIRST]
    _seconds(encoder, few)  # the first pass gets everything ready
    each = _seconds(encoder, few) / len(few)
    batch = inputs[: max(_FIRST, int(_PASS_SECONDS / each))]
    passes = [_seconds(encoder, batch)]
    while sum(passes) < _MEASURED_SECONDS:
        passes.append(_seconds(encoder, batch))
    return len(batch) / min(passes)


def _seconds(encoder: nn.Module, batch: Tensor) -> float:
    start = time.perf_counter()
    encoder(batch)
    if batch.is_cuda:
        torch.cuda.synchronize(batch.device)
    return max(time.perf_counter() - start, 1e-9)


def _sample(model: Model, suite: Suite) -> tuple[nn.Module, Tensor]:
    """An encoder, whose weights need not be here, and a batch of its inputs."""
    batch = suite.protocol.batch_size
    remote = fetched(model.source)
    if remote is not None:
        noise = torch.Generator().manual_seed(0)
        shape = (batch, 3, _SIDE, _SIDE)
        inputs = torch.randint(0, 256, shape, generator=noise, dtype=torch.uint8)
        return remote.untrained(model.weights), inputs
    stem, encoder = model.source.backbone(model.weights)
    items = model.source.task(next(iter(suite.tasks))).train.images[:batch]
    inputs = torch.from_numpy(items.copy())
    if inputs.dtype == torch.uint8:
        inputs = inputs.permute(0, 3, 1, 2).contiguous()
    return encoder, inputs if stem is None else stem(inputs).detach()


def _n_parameters(model: Model) -> int:
    remote = fetched(model.source)
    encoder = remote.untrained(model.weights) if remote else model.encoder()
    return WeightSpace.of(encoder).size


def _n_bytes(todo: Iterable[Job], sizes: Mapping[str, Sizes]) -> int:
    """Bytes that jobs add to the store; what tuning keeps meanwhile counts once."""
    stored: dict[Model, int] = defaultdict(int)
    for job in todo:
        cost = job.stage.cost(sizes)
        if cost.model is not None and cost.stored:
            stored[cost.model] += cost.stored
    # A checkpoint holds theta and two moments.
    return sum(_FLOAT * (n + 3) * _n_parameters(model) for model, n in stored.items())


def _sizes_of(suite: Suite, tasks: Iterable[str]) -> dict[str, Sizes]:
    """How large tasks are; what is unknown is left out."""
    source: Provider = Data.of(suite, next(iter(suite.tasks))).source
    remote = fetched(source)
    sizes = {}
    for task in tasks:
        if remote is not None:
            size = remote.sizes(task)
        else:
            data = source.task(task)
            n = [len(split.labels) for split in (data.train, data.validation, data.test)]
            size = Sizes(n[0], n[1], n[2], n_bytes=0, is_here=True)
        if size is not None:
            sizes[task] = size
    return sizes


def _hours(seconds: float) -> str:
    if seconds < 90:  # noqa: PLR2004 - then minutes say more
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"  # noqa: PLR2004


def _size(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e8 else f"{n_bytes / 1e6:.0f} MB"  # noqa: PLR2004
