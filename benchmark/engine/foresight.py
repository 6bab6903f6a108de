"""Before a run starts: what it is going to take on this machine, and whether it fits."""

from __future__ import annotations

import math
import shutil
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch

from taskmark.contract.weights import WeightSpace
from taskmark.engine.forecast import Network, forecast, in_words
from taskmark.errors import TaskmarkError
from taskmark.machine import determinism, memory
from taskmark.suite.provider import fetched
from taskmark.suites.task_data import Sizes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import Tensor, nn

    from taskmark.context import Context
    from taskmark.engine.forecast import Forecast
    from taskmark.engine.jobs import Job

WORTH_SAYING = 600.0
"""Seconds; what is expected to take longer is said before it starts."""

_SIDE = 224  # of the images that a speed is measured on, pixels
_FIRST = 2  # images of the pass that tells how many fit into a short time
_PASS_SECONDS = 0.25
_MEASURED_SECONDS = 0.5


def images_per_second(encoder: nn.Module, inputs: Tensor, *, dtype: torch.dtype) -> float:
    """How many inputs a second pass forward through an encoder, where both lie.

    On a CPU one thread works, as in the processes of a run.

    Args:
        encoder: in evaluation mode.
        inputs: one batch, [B, ...]; as many of it are used at once as pass in a short time, and
            as fit into memory.
        dtype: of the computation.

    Raises:
        Exception: if memory does not suffice for one image, what torch says of that.
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
                    if not memory.is_out_of_memory(error) or len(inputs) == 1:
                        raise
                inputs = inputs[: len(inputs) // 2]
                memory.free_unused()  # only now, when the error holds no frame any more
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


def sizes_of(context: Context, tasks: Iterable[str]) -> dict[str, Sizes]:
    """How large tasks are; what is shipped is made for that, and what is unknown left out."""
    remote = fetched(context.provider)
    if remote is not None:
        found = {task: remote.sizes(task) for task in tasks}
        return {task: size for task, size in found.items() if size is not None}
    sizes = {}
    for task in tasks:
        splits = context.provider.task(task)
        n = [len(split.labels) for split in (splits.train, splits.validation, splits.test)]
        sizes[task] = Sizes(n[0], n[1], n[2], n_bytes=0, is_here=True)
    return sizes


def network(context: Context, weights: str) -> Network:
    """The size of an encoder, and how fast images pass through it here.

    Nothing stays on the device, which the processes of the run need for themselves.

    Raises:
        TaskmarkError: if memory does not suffice for one image.
    """
    if context.device.startswith("cuda"):
        determinism.require_determinism()  # nothing ran on a GPU before, in this process
    try:
        return _measured(context, weights)
    except Exception as error:
        if not memory.is_out_of_memory(error):
            raise
        raise TaskmarkError(
            f"While measuring how fast images pass through {weights!r}: {memory.explain(error)}; "
            "choose a smaller backbone, or another machine."
        ) from error
    finally:
        memory.free_unused()


def _measured(context: Context, weights: str) -> Network:
    remote = fetched(context.provider)
    batch = context.suite.protocol.batch_size
    noise = torch.Generator().manual_seed(0)
    if remote is not None:
        encoder = remote.untrained(weights)
        shape = (batch, 3, _SIDE, _SIDE)
        inputs = torch.randint(0, 256, shape, generator=noise, dtype=torch.uint8)
    else:
        stem, encoder = context.provider.backbone(weights)
        images = context.provider.task(next(iter(context.suite.tasks))).train.images[:batch]
        inputs = torch.from_numpy(images.copy()).permute(0, 3, 1, 2).contiguous()
        inputs = inputs if stem is None else stem(inputs).detach()
    encoder, inputs = encoder.to(context.device), inputs.to(context.device)
    tuning = images_per_second(encoder, inputs, dtype=torch.float32)
    # Larger batches, which an evaluation may take on a GPU, are faster still.
    fast = context.fast_dtype("standard")
    return Network(
        n_parameters=WeightSpace.of(encoder).size,
        reading=images_per_second(encoder, inputs, dtype=fast) if fast else tuning,
        tuning=tuning,
    )


def forecast_of(
    context: Context, planned: Sequence[Job], todo: Sequence[Job], backbones: Iterable[str]
) -> tuple[Forecast, dict[str, Sizes]]:
    """Measure this machine, and forecast the jobs that are left to do.

    Args:
        context: of the run.
        planned: all its jobs.
        todo: those of them that are left.
        backbones: names of the suite.

    Returns:
        The forecast, and the sizes that it is made from.
    """
    by_weights: dict[str, Network] = {}
    networks = {}
    for name in backbones:
        weights = context.suite.backbones[name].weights
        if weights not in by_weights:
            by_weights[weights] = network(context, weights)
        networks[name] = by_weights[weights]
    data = {job.key: job.arguments["task"] for job in planned if job.kind == "data"}
    inputs = {job.key: data[job.arguments["data"]] for job in planned if job.kind == "inputs"}
    sizes = sizes_of(context, tasks_of(planned))
    methods = {name: found.method for name, found in context.methods().items()}
    found = forecast(
        todo, context.suite, tasks=inputs, sizes=sizes, networks=networks, methods=methods
    )
    return found, sizes


def tasks_of(planned: Iterable[Job]) -> tuple[str, ...]:
    """The tasks whose images a run looks at, those that only control among them."""
    named = (job.arguments["task"] for job in planned if job.kind == "data")
    return tuple(dict.fromkeys(named))


def before_start(
    context: Context,
    planned: Sequence[Job],
    todo: Sequence[Job],
    backbones: Sequence[str],
    *,
    processes: int,
) -> str:
    """What to say before a run starts; empty if it is soon over.

    Only where data and weights are fetched from elsewhere is anything measured: what is shipped is
    small.

    Raises:
        TaskmarkError: if the disk has no room for what the run adds to the store.
    """
    if not any(job.kind in ("experts", "records") for job in todo):
        return ""
    if fetched(context.provider) is None:
        require_space(context, _n_bytes(context, todo, backbones))
        return ""
    found, sizes = forecast_of(context, planned, todo, backbones)
    require_space(context, found.n_bytes)
    if found.total_seconds / processes < WORTH_SAYING:
        return ""
    tasks = tasks_of(planned)
    return sentences(found, context, processes=processes, tasks=tasks, sizes=sizes)


def _n_bytes(context: Context, todo: Sequence[Job], backbones: Sequence[str]) -> int:
    networks = {}
    for name in backbones:
        encoder = context.encoder(name)
        networks[name] = Network(WeightSpace.of(encoder).size, math.inf, math.inf)
    methods = {name: found.method for name, found in context.methods().items()}
    return forecast(
        todo, context.suite, tasks={}, sizes={}, networks=networks, methods=methods
    ).n_bytes


def require_space(context: Context, n_bytes: int) -> None:
    """See that the disk of the store holds what a run adds to it.

    Raises:
        TaskmarkError: if it does not.
    """
    free = shutil.disk_usage(context.store_root).free
    if free < n_bytes:
        raise TaskmarkError(
            f"The run needs {n_bytes / 1e9:.1f} GB in the store {str(context.store_root)!r}, where "
            f"{free / 1e9:.1f} GB are free; make room, or name another folder with --store."
        )


def sentences(
    found: Forecast,
    context: Context,
    *,
    processes: int,
    tasks: Iterable[str],
    sizes: Mapping[str, Sizes],
) -> str:
    """Say what a run is going to take, and what is not in that.

    Args:
        found: the forecast.
        context: of the run.
        processes: how many share the work.
        tasks: of the run.
        sizes: those that are known.
    """
    said = [f"Estimate: {in_words(found, device=context.device, processes=processes)}."]
    absent = {task: sizes[task] for task in tasks if task in sizes and not sizes[task].is_here}
    if absent:
        n_bytes = sum(size.n_bytes for size in absent.values())
        said.append(
            f"The images of {', '.join(absent)} are not on this machine yet; decoded, they take "
            f"{n_bytes / 1e9:.1f} GB."
        )
    if unknown := [task for task in tasks if task not in sizes]:
        said.append(f"How large {', '.join(unknown)} will be is not known, and left out.")
    return " ".join(said)


def _seconds(encoder: nn.Module, batch: Tensor) -> float:
    start = time.perf_counter()
    encoder(batch)
    if batch.is_cuda:
        torch.cuda.synchronize(batch.device)
    return max(time.perf_counter() - start, 1e-9)
