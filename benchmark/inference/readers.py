"""Reading edited weights: the model itself, or its linearisation, over many scales and images."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from taskmark.contract.weights import WeightSpace
from taskmark.errors import TaskmarkError
from taskmark.inference.batches import in_a_row, stream_batches, streams
from taskmark.inference.device_cache import keep_on_device
from taskmark.inference.gram import gather_gram_matrices
from taskmark.inference.linearised import value_and_tangent
from taskmark.machine.out_of_memory import BatchSplitter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from taskmark.contract.recipe import Mode
    from taskmark.inference.items import Items
    from taskmark.inference.passes import Passes

Result = TypeVar("Result")


class Reader(Protocol):
    """One way to read edited weights.

    `pays_per_scale` says whether each further scale costs a pass over the images.
    """

    pays_per_scale: ClassVar[bool]

    def features(self, vector: Tensor, inputs: Tensor, at: Tensor | None = None) -> Tensor:
        """Features [B, D] of theta0 + vector, differentiable in the vector [P].

        Args:
            vector: [P].
            inputs: [B, ...].
            at: where the linearised model is taken, see `Edit.linearised_at`.

        Raises:
            TaskmarkError: if `at` is given and nothing is linearised.
        """

    def gram_matrices(
        self, vector: Tensor, inputs: Tensor, parts: Sequence[str] | None
    ) -> dict[str, Tensor]:
        """Of theta0 + vector on inputs [N, ...], see `Given.gram_matrices`."""

    def predict(
        self,
        vector: Tensor,
        scales: Sequence[float],
        work: Mapping[str, Items],
        at: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Answers of theta0 + s * vector at each scale, task -> [S, N], int64; see `features`."""

    def predict_grid(
        self,
        vectors: tuple[Tensor, Tensor],
        alphas: Sequence[float],
        work: Mapping[str, Items],
    ) -> dict[str, Tensor]:
        """Answers at theta0 + alphas[i] v1 + alphas[j] v2, task -> [G, G, N], int64."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how a reader computes; `room` learns how many images fit into memory at once."""

    encoder: nn.Module
    space: WeightSpace
    pretrained: Tensor  # [P]
    device: torch.device
    batch_size: int
    dtype: torch.dtype = torch.float32
    room: BatchSplitter = field(default_factory=BatchSplitter)

    @classmethod
    def of(
        cls,
        encoder: nn.Module,
        device: torch.device | str,
        passes: Passes,
        pretrained: Tensor | None = None,
    ) -> Setting:
        """Read an encoder on a device.

        Args:
            encoder: it.
            device: where to compute.
            passes: how many items pass at once, and how precisely.
            pretrained: theta0, [P]; the encoder's own weights unless given.
        """
        space = WeightSpace.of(encoder)
        if pretrained is None:
            pretrained = space.flatten(dict(encoder.named_parameters()))
        return cls(
            encoder,
            space,
            pretrained,
            torch.device(device),
            passes.batch_size,
            passes.dtype,
        )

    def pass_batches(self, call: Callable[[Tensor], Result], *parts: Tensor) -> Iterator[Result]:
        """Call on batches of several [N, ...] in a row, smaller ones where memory is short."""
        for batch in self.batches(*parts):
            yield from self.room.each(call, batch)

    def batches(self, *parts: Tensor) -> Iterator[Tensor]:
        """Cut several [N, ...] in a row into batches on the device, across their borders.

        Images of unlike sizes never share a batch. Those that are streamed out of a file are
        overwritten once the next batch is asked for.
        """
        for _, alike in groupby(parts, lambda part: (part.shape[1:], part.device, streams(part))):
            run = list(alike)
            if streams(run[0]):
                yield from stream_batches(list(in_a_row(run, self.batch_size)), self.device)
            else:
                for pieces in in_a_row(run, self.batch_size):
                    yield self._joined([part[rows] for part, rows in pieces])

    def _joined(self, parts: list[Tensor]) -> Tensor:
        batch = parts[0] if len(parts) == 1 else torch.cat(parts)
        return batch.to(self.device, non_blocking=True)

    def keep_on_device(self, work: Mapping[str, Items]) -> dict[str, Items]:
        """The work with its inputs on the device, if they fit there, to be read more than once."""
        inputs = keep_on_device(self.device, *(items.inputs for items in work.values()))
        return {
            task: replace(items, inputs=own)
            for (task, items), own in zip(work.items(), inputs, strict=True)
        }

    def precision(self) -> AbstractContextManager[object]:
        """The context in which forward passes of an evaluation run."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)


class StandardReader:
    """f(x; theta0 + s v): one resident model whose weights are views of one buffer.

    The images of all tasks pass through it as one stream of full batches.
    """

    pays_per_scale: ClassVar[bool] = True

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._pretrained = setting.pretrained.to(setting.device)
        self._buffer = self._pretrained.clone()
        parameters = dict(setting.encoder.to(setting.device).named_parameters())
        for part in setting.space:
            parameters[part.name].requires_grad_(False)
            parameters[part.name].data = self._buffer[part.slice].view(part.shape)

    def features(self, vector: Tensor, inputs: Tensor, at: Tensor | None = None) -> Tensor:
        """See Reader."""
        _require_theta0(at)
        weights = self._pretrained + vector.to(self._pretrained.device)
        state = self._setting.space.views(weights)
        inputs = inputs.to(self._setting.device)
        features: Tensor = functional_call(self._setting.encoder, state, (inputs,))
        return features

    @torch.no_grad()
    def gram_matrices(
        self, vector: Tensor, inputs: Tensor, parts: Sequence[str] | None
    ) -> dict[str, Tensor]:
        """See Reader."""
        with gather_gram_matrices(self._setting.encoder, parts) as found:
            for batch in self._setting.batches(inputs):
                self.features(vector, batch)
        # Where the weights are that they are multiplied with.
        return {name: gram.to(vector.device) for name, gram in found.items()}

    @torch.inference_mode()
    def predict(
        self,
        vector: Tensor,
        scales: Sequence[float],
        work: Mapping[str, Items],
        at: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """See Reader; weights are edited in place, once a scale, for all tasks."""
        _require_theta0(at)
        vector = vector.to(self._setting.device)
        work = self._setting.keep_on_device(work) if len(scales) > 1 else work
        rows: dict[str, list[Tensor]] = {task: [] for task in work}
        for scale in scales:
            torch.add(self._pretrained, vector, alpha=scale, out=self._buffer)
            for task, answers in self._answers(work).items():
                rows[task].append(answers)
        return {task: torch.stack(row) for task, row in rows.items()}

    @torch.inference_mode()
    def predict_grid(
        self,
        vectors: tuple[Tensor, Tensor],
        alphas: Sequence[float],
        work: Mapping[str, Items],
    ) -> dict[str, Tensor]:
        """See Reader."""
        first, second = (vector.to(self._setting.device) for vector in vectors)
        work = self._setting.keep_on_device(work)
        rows: dict[str, list[Tensor]] = {task: [] for task in work}
        for alpha_1 in alphas:
            for alpha_2 in alphas:
                torch.add(self._pretrained, first, alpha=alpha_1, out=self._buffer)
                self._buffer.add_(second, alpha=alpha_2)
                for task, answers in self._answers(work).items():
                    rows[task].append(answers)
        side = len(alphas)
        return {task: torch.stack(row).view(side, side, -1) for task, row in rows.items()}

    def _answers(self, work: Mapping[str, Items]) -> dict[str, Tensor]:
        # Items of unlike shapes never share a batch, and their outputs may have unlike shapes too.
        answers: dict[str, Tensor] = {}
        for _, alike in groupby(work.items(), lambda own: own[1].inputs.shape[1:]):
            answers |= self._answers_of_one_shape(dict(alike))
        return answers

    def _answers_of_one_shape(self, work: Mapping[str, Items]) -> dict[str, Tensor]:
        parts = [items.inputs for items in work.values()]
        with self._setting.precision():
            rows = self._setting.pass_batches(self._setting.encoder, *parts)
            outputs = torch.cat(list(rows)).float()
        own = torch.split(outputs, [len(part) for part in parts])
        return {
            task: items.answers(rows, self._setting.device)
            for (task, items), rows in zip(work.items(), own, strict=True)
        }


class TangentReader:
    """f(x; theta0) + s J(x) v: one pass an image, whatever the number of scales."""

    pays_per_scale: ClassVar[bool] = False

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._encoder = setting.encoder.to(setting.device)
        self._pretrained = setting.pretrained.to(setting.device)

    def features(self, vector: Tensor, inputs: Tensor, at: Tensor | None = None) -> Tensor:
        """See Reader."""
        device = self._setting.device
        vector, origin = vector.to(device), self._pretrained
        if at is not None:
            at = at.to(device)
            vector, origin = vector - at, origin + at
        value, tangent = self._both(vector, inputs.to(device), origin)
        return value + tangent

    def gram_matrices(
        self, _vector: Tensor, _inputs: Tensor, _parts: Sequence[str] | None
    ) -> dict[str, Tensor]:
        """Refuse: every layer of the linearised model has the inputs of theta0."""
        raise TaskmarkError(
            "Gram matrices of layer inputs are those of the model itself, and this recipe reads "
            "the linearised one, whose layers have the inputs of theta0 whatever the vector; run "
            "the method under the recipe 'standard'."
        )

    def predict(
        self,
        vector: Tensor,
        scales: Sequence[float],
        work: Mapping[str, Items],
        at: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """See Reader; one pass more an item where the model is not linearised at theta0."""
        device, found = self._setting.device, {}
        origin = self._pretrained if at is None else self._pretrained + at.to(device)
        for task, items in work.items():
            value, tangent = self._passed(vector, items.inputs, origin)
            if at is not None:  # J (s v - a)
                value -= self._passed(at, items.inputs, origin)[1]
            rows = [items.answers(value + s * tangent, device) for s in scales]
            found[task] = torch.stack(rows)
        return found

    def predict_grid(
        self,
        vectors: tuple[Tensor, Tensor],
        alphas: Sequence[float],
        work: Mapping[str, Items],
    ) -> dict[str, Tensor]:
        """See Reader; two passes an item, whatever the size of the grid."""
        device, found = self._setting.device, {}
        for task, items in work.items():
            value, first = self._passed(vectors[0], items.inputs, self._pretrained)
            _, second = self._passed(vectors[1], items.inputs, self._pretrained)
            rows = [
                items.answers(value + a * first + b * second, device)
                for a in alphas
                for b in alphas
            ]
            found[task] = torch.stack(rows).view(len(alphas), len(alphas), -1)
        return found

    @torch.no_grad()
    def _passed(self, vector: Tensor, inputs: Tensor, origin: Tensor) -> tuple[Tensor, Tensor]:
        if not vector.any():  # J 0 = 0, so that a plain forward pass is all there is
            state = self._setting.space.views(origin)
            rows = self._setting.pass_batches(
                lambda batch: functional_call(self._encoder, state, (batch,)), inputs
            )
            value = torch.cat(list(rows))
            return value, torch.zeros_like(value)
        vector = vector.to(self._setting.device)  # once, not with every batch
        pairs = list(
            self._setting.pass_batches(lambda batch: self._both(vector, batch, origin), inputs)
        )
        return torch.cat([pair[0] for pair in pairs]), torch.cat([pair[1] for pair in pairs])

    def _both(self, vector: Tensor, inputs: Tensor, origin: Tensor) -> tuple[Tensor, Tensor]:
        return value_and_tangent(self._encoder, self._setting.space, origin, vector, inputs)


def _require_theta0(at: Tensor | None) -> None:
    if at is not None:
        raise TaskmarkError(
            "This recipe reads the model itself, and nothing is linearised; run a method that says "
            "where the model is linearised under the recipe 'tangent' or 'post_hoc'."
        )


def reader(mode: Mode, setting: Setting) -> Reader:
    """The reader of a mode."""
    readers: dict[Mode, type[StandardReader | TangentReader]] = {
        "standard": StandardReader,
        "tangent": TangentReader,
    }
    return readers[mode](setting)


def passes_per_item(mode: Mode) -> float:
    """What reading one item takes, in forward passes (vision transformers on a CPU, measured)."""
    return 1.0 if mode == "standard" else 3.1
