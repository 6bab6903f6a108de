"""A suite of text for tests: strings of letters, and a model that scores the options of an item."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor, nn

from taskmark.contract.head import Choices
from taskmark.suites.task_data import Split, TaskData

LETTERS, LENGTH, OPTIONS = 6, 5, 4


def task(name: str) -> TaskData:
    """Items are letters [L]; the right option is their sum times a number of the task, mod K."""
    factor = 1 + len(name) % 3
    generator = np.random.default_rng(factor)
    splits = {}
    for split, n in {"train": 256, "validation": 60, "test": 90}.items():
        letters = generator.integers(0, LETTERS, size=(n, LENGTH))
        splits[split] = Split(letters, (factor * letters[:, 0] + letters[:, 1]) % OPTIONS)
    return TaskData((), (), **splits)


class Model(nn.Module):
    """Letters [B, L] to a score for each option [B, K], as log-likelihoods would be."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(LETTERS, 16)
        self.hidden = nn.Linear(16 * LENGTH, 64)
        self.scores = nn.Linear(64, OPTIONS)

    def forward(self, letters: Tensor) -> Tensor:
        scores: Tensor = self.scores(torch.relu(self.hidden(self.embedding(letters).flatten(1))))
        return scores


def backbone(_weights: str) -> tuple[None, nn.Module]:
    torch.manual_seed(0)
    return None, Model().eval()


def weights_sha256(weights: str) -> str:
    return hashlib.sha256(weights.encode()).hexdigest()


def head(_weights: str, _task: str) -> Choices:
    return Choices()
