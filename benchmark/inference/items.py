"""Items of a task, ready to be read: their head, their inputs and their targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from taskmark.contract.head import TaskHead


@dataclass(frozen=True, slots=True)
class Items:
    """Items of one split of one task.

    Attributes:
        head: turns outputs into answers.
        inputs: of the encoder, [N, ...].
        targets: what the task keeps beside each item, [N, ...]; class indices under a linear head.
    """

    head: TaskHead
    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def at(self, rows: Tensor) -> Items:
        """Some of the items, [n] indices, in the order asked for."""
        return Items(self.head, self.inputs[rows], self.targets[rows])

    def under(self, head: TaskHead) -> Items:
        """The same items under another head."""
        return Items(head, self.inputs, self.targets)

    def answers(self, outputs: Tensor, device: torch.device | str) -> Tensor:
        """The answers to all of them, from outputs [N, ...] on a device; [N] on the CPU."""
        targets = self.targets.to(device)
        return self.head.to(device).predict(outputs, targets).cpu()

    def correct(self, answers: Tensor) -> Tensor:
        """Which answers are right, [..., N] -> [..., N], bool."""
        return answers == self.head.gold(self.targets)
