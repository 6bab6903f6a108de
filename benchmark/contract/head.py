"""Heads: what turns a model's outputs for items into answers, and says how wrong they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, Protocol, Self

import torch
from torch.nn import functional

from taskmark.errors import DoesNotApplyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


class TaskHead(Protocol):
    """The head of one task. Beyond it nothing knows whether items are images, text or else.

    `outputs` are what the model makes of a batch of items, [B, ...]; `targets` are what the task
    keeps beside each item, [B, ...], such as its class. An item is right if the answer is the gold
    one.
    """

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        """The mean loss that tuning lowers, a scalar that can be differentiated."""

    def predict(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The answers, [B], int64."""

    def gold(self, targets: Tensor) -> Tensor:
        """The right answers, [B], int64."""

    def to(self, device: torch.device | str) -> Self:
        """The same head on another device."""

    def stored(self) -> tuple[Mapping[str, Tensor], Mapping[str, object]]:
        """Tensors and JSON values from which `read_head` makes the head again."""


@dataclass(frozen=True, slots=True)
class Head:
    """The linear head: logits of one task from features.

    Attributes:
        weight: [C, D].
        bias: [C].
        normalise: divide each feature vector by its L2 norm first, as zero-shot heads do
            (their weight then holds text embeddings times the logit scale).
    """

    weight: Tensor  # [C, D]
    bias: Tensor  # [C]
    normalise: bool = False

    def logits(self, features: Tensor) -> Tensor:
        """Map features [B, D] to logits [B, C]."""
        if self.normalise:
            features = functional.normalize(features, dim=-1)
        return functional.linear(features, self.weight, self.bias)

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        """The cross-entropy of features [B, D] under classes [B]."""
        return functional.cross_entropy(
            self.logits(outputs), targets, label_smoothing=label_smoothing
        )

    def predict(self, outputs: Tensor, targets: Tensor | None = None) -> Tensor:
        """Map features [B, D] to class indices [B]; the first of equal logits wins."""
        del targets  # a class is predicted from the item alone
        return self.logits(outputs).argmax(-1)

    def gold(self, targets: Tensor) -> Tensor:
        """The classes themselves, [B]."""
        return targets

    def to(self, device: torch.device | str) -> Head:
        """Return the same head on another device."""
        return Head(self.weight.to(device), self.bias.to(device), self.normalise)

    def stored(self) -> tuple[Mapping[str, Tensor], Mapping[str, object]]:
        """Weight and bias; how features are treated."""
        return {"weight": self.weight, "bias": self.bias}, {
            "kind": "linear",
            "normalise": self.normalise,
        }

    @property
    def size(self) -> int:
        """Numbers stored."""
        return self.weight.numel() + self.bias.numel()


_OF_CLASSES = ("logits", "weight", "bias", "normalise")
_UNSCORED = -100  # the target of a token that is no part of an answer, as transformers has it
_BASE = 0x9E3779B97F4A7C15 - (1 << 64)  # odd, so that no power of it vanishes modulo 2^64


class WithoutClasses:
    """A head without a linear map: what asks it for classes does not apply to its task."""

    __slots__ = ()

    def __getattr__(self, name: str) -> NoReturn:
        """Say that linear heads alone have this."""
        if name in _OF_CLASSES:
            raise DoesNotApplyError(
                f"It does not apply here: it needs the {name} of a linear head over classes, and a "
                f"task has the head {type(self).__name__}, which has none."
            )
        raise AttributeError(name)


@dataclass(frozen=True, slots=True)
class Choices(WithoutClasses):
    """The head of multiple choice: the model scores K given options, and the best is the answer.

    Outputs are scores [B, K], such as the log-likelihood of each option; targets are the index of
    the right option, [B].
    """

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        """The cross-entropy of scores [B, K] under options [B]."""
        return functional.cross_entropy(outputs, targets, label_smoothing=label_smoothing)

    def predict(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The option of the highest score, [B]; the first of equal scores wins."""
        del targets
        return outputs.argmax(-1)

    def gold(self, targets: Tensor) -> Tensor:
        """The right options, [B]."""
        return targets

    def to(self, device: torch.device | str) -> Choices:
        """Return the head itself, which holds no numbers."""
        del device
        return self

    def stored(self) -> tuple[Mapping[str, Tensor], Mapping[str, object]]:
        """Nothing but its kind."""
        return {}, {"kind": "choices"}


@dataclass(frozen=True, slots=True)
class Exact(WithoutClasses):
    """The head of exact match: an item is right if greedy decoding writes its answer whole.

    Outputs are logits of the next token at each place of a line that ends with its right answer,
    [B, L, V]; targets are the tokens of that answer, [B, L], at their places, and -100 elsewhere.
    Greedy decoding writes the answer if and only if each of its tokens has the largest logit after
    those before it, so one pass tells.
    """

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        """The mean cross-entropy over all tokens of answers."""
        return functional.cross_entropy(
            outputs[:, :-1].flatten(0, 1),
            targets[:, 1:].flatten(),
            ignore_index=_UNSCORED,
            label_smoothing=label_smoothing,
        )

    def predict(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """A number for what greedy decoding writes, up to its first wrong token, [B].

        Unlike texts have unlike numbers, but for a chance of 2^-64.
        """
        written, wanted = outputs[:, :-1].argmax(-1), targets[:, 1:]
        is_answer = wanted != _UNSCORED
        wrong = is_answer & (written != wanted)
        before_fault = wrong.cumsum(1) - wrong.long() == 0
        return _numbered(written, is_answer & before_fault)

    def gold(self, targets: Tensor) -> Tensor:
        """The numbers of the right answers, [B]."""
        wanted = targets[:, 1:]
        return _numbered(wanted, wanted != _UNSCORED)

    def to(self, device: torch.device | str) -> Exact:
        """Return the head itself, which holds no numbers."""
        del device
        return self

    def stored(self) -> tuple[Mapping[str, Tensor], Mapping[str, object]]:
        """Nothing but its kind."""
        return {}, {"kind": "exact"}


def _numbered(tokens: Tensor, counted: Tensor) -> Tensor:
    """sum_i (token_i + 1) b^i modulo 2^64 over the counted places of each row, [B, L] -> [B]."""
    powers = [1]
    for _ in range(1, tokens.shape[1]):
        power = powers[-1] * _BASE % (1 << 64)
        powers.append(power)
    signed = [power - (1 << 64) if power >= 1 << 63 else power for power in powers]
    base = torch.tensor(signed, dtype=torch.int64, device=tokens.device)
    return ((tokens + 1) * counted * base).sum(1)


_WITHOUT_CLASSES: dict[str, type[Choices | Exact]] = {"choices": Choices, "exact": Exact}


def read_head(tensors: Mapping[str, Tensor], facts: Mapping[str, object]) -> TaskHead:
    """Make a head of what `TaskHead.stored` returned."""
    if facts["kind"] in _WITHOUT_CLASSES:
        return _WITHOUT_CLASSES[str(facts["kind"])]()
    return Head(tensors["weight"], tensors["bias"], bool(facts["normalise"]))
