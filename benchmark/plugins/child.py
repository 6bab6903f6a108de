"""What runs in a process of its own for a plug-in: describe it, check it, or let it edit.

`python -P -m taskmark.plugins.child FOLDER` watches over a fork of itself, which does the work.
When that ends, or the standard input does, it ends all that the work has started. Nothing that the
work says is believed: whatever must be true is checked at the other end.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import json
import linecache
import os
import re
import resource
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from taskmark.errors import CorruptArtifactError, DataRefusedError, TaskmarkError, sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from taskmark.contract.edit import Edit
    from taskmark.plugins.registry import Found

ORDER, ANSWERS, EDIT = "order.json", "answers.jsonl", "edit.safetensors"  # in its folder

STATED = (  # by a class, as attributes
    *("name", "paper", "bibtex", "track", "recipe", "role", "scale_range"),
    *("order_matters", "keeps_direction", "n_tasks"),
)
Order = dict[str, Any]
_ORPHANS_COME_TO_ME = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h
_ARTIFACT = re.compile(r"[0-9a-f]{64}\.(json|safetensors)")  # how the store names its files
# How images are named that lie outside of the store, wherever that is.
_DECODED = re.compile(r".*-[0-9a-f]{12}-\d+/(train|validation|test)(_labels)?\.npy")


def main() -> NoReturn:
    """Watch over a fork that does the work, and end as it ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_ORPHANS_COME_TO_ME, 1, 0, 0, 0)
    worker = os.fork()
    if not worker:
        _work(Path(sys.argv[1]))
    threading.Thread(target=_end_with_the_run, args=(worker,), daemon=True).start()
    _, status = os.waitpid(worker, 0)
    # A process that left the group comes here when its parent is gone; there may be more below.
    while children := _children():
        for child in children:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the worker's own says more
        with contextlib.suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _end_with_the_run(worker: int) -> None:
    os.read(0, 1)  # returns when the other end is closed
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker, signal.SIGKILL)


def _children() -> list[int]:
    lists = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return [int(child) for path in lists for child in path.read_text("ascii").split()]


def _work(folder: Path) -> NoReturn:
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        say = _Answers(folder)
        order: Order = json.loads((folder / ORDER).read_bytes())
        sys.path[:] = order["python_path"]
        try:
            ORDERS[order["do"]](order, folder, say)
            say(op="done")
        except BaseException as error:  # noqa: BLE001 - whatever a plug-in does, its row says so
            say(op="failed", sentence=sentence(error, order.get("file")))
    finally:
        # Past everything that the plug-in may have registered to run at the end.
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
        os._exit(0)


class _Answers:
    """A file that answers are added to, a line of JSON each."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / ANSWERS, os.O_WRONLY | os.O_APPEND)

    def __call__(self, **answer: Any) -> None:
        os.write(self._file, json.dumps(answer).encode() + b"\n")


def _describe(order: Order, _: Path, say: _Answers) -> None:
    from taskmark.plugins import registry  # noqa: PLC0415 - imports torch

    _begin(order, say)
    file = order["file"]
    found = registry.from_packages() if file is None else registry.from_file(Path(file))
    say(op="described", methods=[_facts(one) for one in found])


def _check(order: Order, _: Path, say: _Answers) -> None:
    from taskmark.plugins.registry import build  # noqa: PLC0415 - imports torch

    _begin(order, say)
    method = build(_chosen(order).method, order["hyperparameters"])
    say(op="checked", hyperparameters=method.hyperparameters())


def _conform(order: Order, _: Path, say: _Answers) -> None:
    from taskmark.conformance import findings  # noqa: PLC0415 - imports torch

    _begin(order, say)
    for finding in findings(_chosen(order).method, large=order["large"]):
        say(op="finding", **dataclasses.asdict(finding))


def _edit(order: Order, folder: Path, say: _Answers) -> None:
    import torch  # noqa: PLC0415
    from safetensors.torch import save_file  # noqa: PLC0415

    from taskmark.machine import determinism  # noqa: PLC0415
    from taskmark.plugins.registry import build  # noqa: PLC0415
    from taskmark.stages.editing import Handout, build_given, run_method  # noqa: PLC0415
    from taskmark.store.recording import recording  # noqa: PLC0415

    kept = set(sys.modules)  # what the harness imports for itself
    handout = Handout.of(order["handout"])
    torch.set_num_threads(order["threads"])
    on_gpu = handout.device.startswith("cuda")
    if on_gpu:
        torch.cuda.set_device(handout.device if ":" in handout.device else 0)
        determinism.require_determinism()
    with (
        recording("") as account,
        determinism.note_nondeterminism() if on_gpu else contextlib.nullcontext(),
    ):
        try:
            given = build_given(handout)
        except TaskmarkError as error:
            artifact = error.artifact if isinstance(error, CorruptArtifactError) else ""
            say(op="unprepared", artifact=artifact, sentence=str(error))
            return
        _begin(order, say, kept)
        account.notes.clear()
        method = build(_chosen(order).method, order["hyperparameters"])
        edit, spent = run_method(method, given)
        save_file(_tensors_of(edit), folder / EDIT)
    say(
        op="edited",
        heads={task: head.normalise for task, head in edit.heads.items()},
        per_task=list(edit.per_task),
        masks={task: mask.factor for task, mask in edit.masks.items()},
        linearised_elsewhere=edit.linearised_at is not None,
        touched=given.touched,
        gradient_images=given.gradient_images,
        forward_images=given.forward_images,
        notes=list(account.notes),
        spent=dataclasses.asdict(spent),
    )


ORDERS: dict[str, Callable[[Order, Path, _Answers], None]] = {
    "describe": _describe,
    "check": _check,
    "conform": _conform,
    "edit": _edit,
}


def _tensors_of(edit: Edit) -> dict[str, Any]:
    tensors = {"vector": edit.vector}
    tensors |= {f"per_task/{task}": vector for task, vector in edit.per_task.items()}
    tensors |= {f"mask/{task}": mask.kept for task, mask in edit.masks.items()}
    if edit.linearised_at is not None:
        tensors["linearised_at"] = edit.linearised_at
    for task, head in edit.heads.items():
        tensors |= {f"weight/{task}": head.weight, f"bias/{task}": head.bias}
    return tensors


def _chosen(order: Order) -> Found:
    from taskmark.plugins import registry  # noqa: PLC0415 - imports torch

    file = order["file"]
    for found in registry.from_packages() if file is None else registry.from_file(Path(file)):
        if found.method.name == order["name"]:
            return found
    raise TaskmarkError(f"The plug-in has no method {order['name']!r} any more; run again.")


def _facts(found: Found) -> dict[str, Any]:
    method = found.method
    try:
        defaults = method().hyperparameters()
    except Exception:  # noqa: BLE001 - it is said to whoever asks for the defaults
        defaults = None
    return {
        **{fact: getattr(method, fact) for fact in STATED},
        "keeps_direction": method.keeps_direction is True,  # conformance says what else it is
        "summary": method.summary(),
        "fields": [field.model_dump() for field in found.hyperparameters()],
        "defaults": defaults,
        "source": str(found.source),
        "distribution": found.distribution,
        "files": [str(file) for file in found.code()],
    }


def _begin(order: Order, say: _Answers, kept: Collection[str] | None = None) -> None:
    """Say that the plug-in's code begins; from now on, test data is refused to it.

    What Python itself imports and opens is seen, not what compiled code opens.

    Args:
        order: names the modules and paths that are refused.
        say: tells it, and what is refused.
        kept: modules that may stay imported; all where not said.
    """
    modules, paths = order["refused_modules"], order["refused_paths"]
    if kept is not None:
        _forget([name for name in sys.modules if _within(name, modules, ".")], kept)

    def refuse(what: str) -> None:
        say(op="touched", what=what)
        raise DataRefusedError(f"A method may not touch what holds test data: it {what}.")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "import":
            if _within(name := str(arguments[0]), modules, "."):
                refuse(f"imported {name}")
        elif event == "open" and isinstance(arguments[0], (str, bytes)):
            name = os.path.abspath(os.fsdecode(arguments[0]))  # noqa: PTH100 - no objects in a hook
            path = os.path.realpath(name)
            if _ARTIFACT.fullmatch(os.path.basename(path)):  # noqa: PTH119 - likewise
                refuse("opened a file of the store")
            if _DECODED.fullmatch(path) or any(_within(n, paths, os.sep) for n in (name, path)):
                refuse("opened the suite's own files")

    sys.addaudithook(hook)
    say(op="ready")


def _within(name: str, wholes: Collection[str], separator: str) -> bool:
    return any(name == whole or name.startswith(whole + separator) for whole in wholes)


def _forget(names: Collection[str], kept: Collection[str]) -> None:
    """Have modules imported anew by whoever names them; objects made of them stay as they are."""
    for name in set(names) - set(kept):
        module = sys.modules.pop(name)
        parent, _, last = name.rpartition(".")
        vars(sys.modules.get(parent, module)).pop(last, None)
        # A warning shows the line that it comes from, which must not be read any more.
        linecache.getlines(getattr(module, "__file__", None) or "")


if __name__ == "__main__":
    main()
