"""Which device each worker computes on: one process per GPU, unless a GPU is named."""

from __future__ import annotations

from taskmark.errors import TaskmarkError, unknown

KINDS = ("cpu", "cuda")


def kind_of(device: str) -> str:
    """The kind of a device, "cpu" or "cuda"; results of one kind are alike whichever it was."""
    return device.partition(":")[0]


def count_gpus(device: str) -> int:
    """How many GPUs a run on a device may use; none on a CPU, which is not even asked for them."""
    if kind_of(device) != "cuda":
        return 0
    if device != "cuda":
        return 1
    import torch  # noqa: PLC0415 - what runs on a CPU need not wait for it

    return torch.cuda.device_count()


def count_default_workers(n_gpus: int, n_cores: int) -> int:
    """How many processes to start by default: one per GPU, or one per core without any."""
    return n_gpus or n_cores


def assign_devices(device: str, n_workers: int, *, n_gpus: int) -> tuple[str, ...]:
    """Assign a device to each worker: the GPUs in turn if there are several and none is named.

    Args:
        device: of the run, "cpu", "cuda" or "cuda:1".
        n_workers: number of processes; with more than GPUs, some share one.
        n_gpus: those that the run may use.
    """
    if device != "cuda" or n_gpus < 2:  # noqa: PLR2004 - the only one needs no number
        return (device,) * n_workers
    return tuple(f"cuda:{worker % n_gpus}" for worker in range(n_workers))


def choose_device(name: str) -> str:
    """Turn what the user said into a device: "auto" takes a GPU where there is one.

    Raises:
        TaskmarkError: if the device is unknown or not on this machine.
    """
    import torch  # noqa: PLC0415 - the command line need not wait for it

    kind = name.partition(":")[0]
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if kind not in KINDS:
        raise unknown("device", name, ("auto", *KINDS))
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise TaskmarkError(
            f"The device {name!r} cannot be read; write auto, cpu, cuda or cuda:1."
        ) from error
    if kind == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise TaskmarkError(
            f"The device {name!r} is not on this machine, which has "
            f"{torch.cuda.device_count()} CUDA devices; use --device cpu."
        )
    return name
