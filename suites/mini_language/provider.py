"""What `mini-language` offers to the harness: its data, its backbones and its heads, by name."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from taskmark.contract.foreign_weights import fit_weights
from taskmark.contract.head import Choices, Exact
from taskmark.errors import TaskmarkError
from taskmark.suites.mini_language import generated_tasks as tasks
from taskmark.suites.mini_language import language_model
from taskmark.suites.weight_files import read_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import NoReturn

    from torch import Tensor

    from taskmark.suites.task_data import TaskData


def __getattr__(name: str) -> int:
    """VERSION: transformers computes here, so each of its versions is another one, 5.24.0 -> 52400.

    Raises:
        TaskmarkError: if transformers is not installed.
    """
    if name != "VERSION":
        raise AttributeError(name)
    try:
        major, minor, patch = version("transformers").split(".")[:3]
    except PackageNotFoundError as error:
        raise language_model.without_transformers() from error
    return 10_000 * int(major) + 100 * int(minor) + int("".join(filter(str.isdigit, patch)))


def task(name: str) -> TaskData:
    """The data of a task."""
    return tasks.load(name)


def backbone(weights: str) -> tuple[None, language_model.LanguageModel]:
    """The whole network is edited, with the weights that are shipped; nothing is frozen."""
    return None, language_model.load(weights)


def weights_sha256(weights: str) -> str:
    """The hash of the file of weights as it is here; empty if there is none."""
    file = language_model.WEIGHTS / f"{weights}.safetensors"
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def head(_weights: str, task: str) -> Choices | Exact:
    """Multiple choice where items have options, else exact match."""
    return Choices() if tasks.items(task)["train"][0].options else Exact()


def embed_prompts(_weights: str, _prompts: Sequence[str]) -> NoReturn:
    """Refuse: the answers of language need no heads from class names."""
    raise TaskmarkError(
        'The suite mini-language has no classes; give its backbones the heads "own".'
    )


def logit_scale(_weights: str) -> NoReturn:
    """Refuse, as `embed_prompts` does."""
    embed_prompts("", ())


def expert_weights(weights: str, path: Path, *, ignore: Sequence[str] = ()) -> Mapping[str, Tensor]:
    """A fine-tuned checkpoint by the names of the encoder's parameters, all of them.

    Files have the names that transformers saves.

    Raises:
        TaskmarkError: if the file cannot be read or is not an expert of the backbone.
    """
    wanted = backbone(weights)[1].llama.named_parameters()
    found = fit_weights(
        read_tensors(path),
        {name: parameter.shape for name, parameter in wanted},
        what=f"the file {str(path)!r}",
        of=f"the backbone {weights!r}",
        ignore=ignore,
    )
    return {f"llama.{name}": tensor for name, tensor in found.items()}
