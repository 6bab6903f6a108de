"""Experts: the model tuned on one task under one recipe, or read from somebody's file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from taskmark.contract.foreign_weights import check_finite, is_running, unit_roundoff, weights_of
from taskmark.contract.recipe import get_recipe
from taskmark.contract.weights import WeightSpace
from taskmark.engine.stage import Cost, Stage, outside_key
from taskmark.errors import TaskmarkError
from taskmark.experts.expert_files import remainder_of
from taskmark.experts.foreign import hash_of
from taskmark.inference.passes import Passes
from taskmark.inference.readers import Setting
from taskmark.machine.costs import measure
from taskmark.stages.heads import MakeHead
from taskmark.stages.model import Model
from taskmark.stages.task_inputs import Inputs
from taskmark.stages.tuning import tune
from taskmark.store.recording import note
from taskmark.store.tuning_checkpoints import CHECKPOINT_SECONDS, Checkpoints
from taskmark.suites.weight_files import read_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from taskmark.engine.stage_store import StageStore
    from taskmark.experts.foreign import ForeignFile
    from taskmark.suite.protocol import Tuning
    from taskmark.suite.suite_file import Suite
    from taskmark.suites.task_data import Sizes


LEARNING = {"standard": 3.0, "tangent": 5.5}  # passes that a step takes an item, as measured
STATES = 5  # of tuning: theta0, theta, its gradient, two moments


def expert_seed(seed: int, task: str) -> int:
    """A seed for one expert, so that tasks do not share an order of batches."""
    return int.from_bytes(hashlib.sha256(f"{seed} {task}".encode()).digest()[:7], "big")


@dataclass(frozen=True)
class Tune(Stage):
    """The expert of one task, tuned here: its task vector."""

    name = "experts"
    version = 1

    model: Model
    recipe: str
    seed: int
    tuning: Tuning
    inputs: Inputs
    head: MakeHead
    checkpoint_seconds: float = outside_key(CHECKPOINT_SECONDS)

    @classmethod
    def of(
        cls,
        suite: Suite,
        backbone: str,
        task: str,
        recipe: str,
        seed: int,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ) -> Tune:
        """The expert of a task of a suite, tuned under a recipe from one of its backbones."""
        tuned = get_recipe(recipe).tuned
        return cls(
            Model.of(suite, backbone),
            tuned,
            seed,
            suite.tuning(task, tuned),
            Inputs.of(suite, backbone, task),
            MakeHead.of(suite, backbone, task),
            checkpoint_seconds,
        )

    @property
    def task(self) -> str:
        """The name of the task."""
        return self.inputs.data.task

    @property
    def label(self) -> str:
        """See Stage."""
        return f"{self.model.weights}: tuning the {self.recipe} expert of {self.task}"

    def cost(self, sizes: Mapping[str, Sizes]) -> Cost:
        """Every epoch passes all items of train, there and back."""
        size = sizes.get(self.task)
        n_items = size.train if size else 0
        learning = LEARNING[self.recipe] * self.tuning.epochs * n_items
        return Cost(self.model, learning=learning, stored=1, held=STATES)

    def make(self, store: StageStore) -> None:
        """Tune the expert; an interrupted tuning goes on from its last checkpoint."""
        encoder = self.model.encoder()
        setting = Setting.of(encoder, store.device, Passes(self.inputs.batch_size))
        tensors = store.get(self.inputs).tensors
        checkpoints = Checkpoints(store.store, store.key(self), interval=self.checkpoint_seconds)
        with measure() as spent:
            expert = tune(
                encoder,
                setting.space,
                setting.pretrained,
                self.head.read(store),
                tensors["train"],
                tensors["train_labels"],
                recipe=get_recipe(self.recipe),
                tuning=self.tuning,
                generator=torch.Generator().manual_seed(expert_seed(self.seed, self.task)),
                device=setting.device,
                checkpoints=checkpoints,
            )
        facts = {
            "losses": expert.losses,
            "seconds": checkpoints.seconds + spent.seconds,
            "cpu_seconds": checkpoints.cpu_seconds + spent.cpu_seconds,
        }
        store.put(self, {"vector": expert.vector}, facts)
        checkpoints.discard()


@dataclass(frozen=True)
class ReadExpert(Stage):
    """An expert that somebody else tuned: its task vector, from its file."""

    name = "experts"
    version = 1

    model: Model
    task: str
    sha256: str
    remainder: str | None
    ignore: tuple[str, ...] = ()
    path: Path = outside_key(Path())

    @classmethod
    def of(cls, suite: Suite, backbone: str, task: str, file: ForeignFile) -> ReadExpert:
        """The expert of a task in a file."""
        hashes = file.sha256, file.remainder
        return cls(Model.of(suite, backbone), task, *hashes, file.ignore, file.path)

    @property
    def label(self) -> str:
        """See Stage."""
        return f"{self.model.weights}: reading the expert of {self.task} from {self.path.name}"

    def cost(self, sizes: Mapping[str, Sizes]) -> Cost:
        """One vector, kept and held beside theta0."""
        del sizes
        return Cost(self.model, stored=1)

    def make(self, store: StageStore) -> None:
        """Read the file.

        Raises:
            TaskmarkError: if it is not an expert of the backbone, or changed since it was hashed.
        """
        with measure() as spent:
            vector, precision = read_expert(
                self.model,
                self.path,
                task=self.task,
                sha256=self.sha256,
                remainder=self.remainder,
                ignore=self.ignore,
            )
        facts = {
            "losses": [],
            "seconds": spent.seconds,
            "cpu_seconds": spent.cpu_seconds,
            "precision": precision,
        }
        store.put(self, {"vector": vector}, facts)


def read_expert(
    model: Model,
    path: Path,
    *,
    task: str,
    sha256: str,
    remainder: str | None,
    ignore: Sequence[str] = (),
) -> tuple[Tensor, float]:
    """Read one expert: its task vector theta - theta0, [P], and how precise its file is.

    The difference is taken in float32, as tuning does. Where a remainder is given it is added.

    Args:
        model: the pre-trained model that the expert was tuned from.
        path: the file of weights, or the index of several.
        task: its task.
        sha256: of the file.
        remainder: the hash of the file beside it with what float32 weights leave out, if any.
        ignore: patterns of the names of tensors that it may have besides and that are not read.

    Returns:
        The vector, float32, and the largest unit roundoff of the numbers in the file, float32's
        at least.

    Raises:
        TaskmarkError: if the file is not an expert of the model, or changed since it was hashed.
    """
    encoder = model.encoder()
    tensors = model.source.expert_weights(model.weights, path, ignore=ignore)
    running = [name for name in tensors if is_running(name)]
    vector, dtypes = _read(path, tensors, encoder, ignore)
    precision = unit_roundoff(dtypes)
    others = sorted(str(kind).removeprefix("torch.") for kind in dtypes - {vector.dtype})
    del tensors  # a remainder may be as large
    vector -= WeightSpace.of(encoder).flatten(dict(encoder.named_parameters()))
    if remainder is not None:
        rest = remainder_of(path)
        vector += _read(rest, read_tensors(rest), encoder)[0]
        _check_unchanged(rest, remainder)
    _check_unchanged(path, sha256)
    if others:
        note(f"The expert of {task} is stored as {', '.join(others)} and was read as float32.")
    if running:
        more = f" and {len(running) - 1} more" if len(running) > 1 else ""
        note(f"{running[0]}{more} of the expert of {task} are no weights and were not read.")
    if ignore:
        note(f"Tensors called {', '.join(ignore)} were not read of the expert of {task}.")
    return vector, precision


def _read(
    path: Path, tensors: Mapping[str, Tensor], encoder: nn.Module, ignore: Sequence[str] = ()
) -> tuple[Tensor, set[torch.dtype]]:
    """Named tensors as one vector [P], float32, all finite, and in which dtypes they were."""
    space, what = WeightSpace.of(encoder), f"the file {str(path)!r}"
    own = space.fit(tensors, what=what, kept=weights_of(encoder).kept, ignore=ignore)
    vector = space.flatten(own)
    check_finite(space.views(vector), what)
    return vector, {tensor.dtype for tensor in own.values()}


def _check_unchanged(path: Path, sha256: str) -> None:
    if hash_of(path) != sha256:
        raise TaskmarkError(
            f"The file {str(path)!r} changed since the run began; run again once it is whole."
        )
