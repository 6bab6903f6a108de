"""Models of timm and open_clip by name, with the weights of their library, of a file, or drawn."""

from __future__ import annotations

import contextlib
import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import torch

from taskmark.contract.foreign_weights import check_finite, fit_weights
from taskmark.contract.tensor_names import plain_names
from taskmark.errors import TaskmarkError, unknown
from taskmark.suites.real.backbones import layouts, towers, weight_lookup
from taskmark.suites.real.backbones.encoder import TowerEncoder
from taskmark.suites.real.backbones.loading import sha256_of
from taskmark.suites.weight_files import read_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

RANDOM = "random"
"""In place of a file: the weights are drawn, with seed 0."""

_SEED = 0
_VISUAL = "visual."


@dataclass(frozen=True, slots=True)
class LibraryModel:
    """What a suite says of a model: `NAME`, `NAME=FILE` or `NAME=random`.

    Attributes:
        library: that has it.
        name: as the library calls it; timm's tags belong to it ("vit_small_patch16_224.dino").
        tag: of open_clip's weights, after a colon ("ViT-B-32:openai").
        source: "" for the weights of the library, "random", or the file as it is written.
    """

    library: Literal["timm", "open_clip"]
    name: str
    tag: str
    source: str

    @property
    def has_text(self) -> bool:
        """Whether it has a text tower, so that heads can be read off the names of classes."""
        return self.library == "open_clip"

    def file(self, folder: Path) -> Path | None:
        """The file of its weights; None where they are the library's, or drawn.

        Args:
            folder: from which its path counts.
        """
        if self.source in ("", RANDOM):
            return None
        return Path(os.path.abspath(folder / self.source))  # noqa: PTH100 - links stay links


def parse(text: str) -> LibraryModel:
    """Read the model that a suite or a command line names.

    Raises:
        TaskmarkError: if neither library has it.
    """
    import timm  # noqa: PLC0415 - takes seconds

    name, _, source = text.partition("=")
    base, _, tag = name.partition(":")
    if not tag and timm.is_model(base.partition(".")[0]):
        return LibraryModel("timm", name, "", source)
    import open_clip  # noqa: PLC0415 - likewise

    if base in open_clip.list_models():
        tags = open_clip.list_pretrained_tags_by_model(base)
        if tag and tag not in tags:
            raise unknown(f"tag of weights of {base} in open_clip called", tag, tags)
        if not (tag or source):
            raise TaskmarkError(
                f"The model {base} of open_clip has several weights; write one after a colon, such "
                f"as {base}:{tags[0] if tags else 'openai'}, or a file: {base}=weights.safetensors."
            )
        return LibraryModel("open_clip", base, tag, source)
    raise unknown(
        "model of timm or open_clip", base, [*timm.list_models(), *open_clip.list_models()]
    )


def load_encoder(text: str, folder: Path) -> TowerEncoder:
    """The encoder of a model in eval mode, with its weights, not shared with anybody.

    Raises:
        TaskmarkError: if there is no such model, or its weights cannot be had or do not fit.
    """
    model = parse(text)
    if model.library == "timm":
        return _timm_encoder(model, folder)
    return _open_clip_encoder(model, _open_clip_model(model, folder))


def build_untrained(text: str) -> TowerEncoder:
    """The encoder of a model with weights that are drawn, on which its speed does not depend."""
    model = parse(text)
    drawn = LibraryModel(model.library, model.name, "", RANDOM)
    if drawn.library == "timm":
        return _timm_encoder(drawn, Path())
    return _open_clip_encoder(drawn, _open_clip_model(drawn, Path()))


def hash_weights(text: str, folder: Path) -> str:
    """The hash of a model's weights: of a file its SHA-256, else that over names and numbers."""
    model = parse(text)
    if (file := model.file(folder)) is not None:
        _require(model, file)
        return weight_lookup.digest(file)
    return _hash_loaded(text, folder)


@functools.lru_cache(maxsize=8)
def _hash_loaded(text: str, folder: Path) -> str:
    return sha256_of(load_encoder(text, folder).tower)


def load_expert(
    text: str, folder: Path, path: Path, *, ignore: Sequence[str] = ()
) -> Mapping[str, Tensor]:
    """An expert that somebody tuned from a model, by the names of the encoder's parameters.

    Running statistics of batch normalisation are no weights: those of the model stay.

    Raises:
        TaskmarkError: if the file is not an expert of this model.
    """
    tower = load_encoder(text, folder).tower
    wanted = {name: parameter.shape for name, parameter in tower.named_parameters()}
    tensors = _tower_tensors(parse(text), tower, path)
    found = fit_weights(
        tensors, wanted, what=f"the file {str(path)!r}", of="the backbone", ignore=ignore
    )
    check_finite(found, f"the file {str(path)!r}")
    return {f"tower.{name}": tensor for name, tensor in found.items()}


def embed_prompts(text: str, folder: Path, prompts: Sequence[str]) -> Tensor:
    """Text embeddings of unit length, [n, D], float32.

    Raises:
        TaskmarkError: if the model has no text tower.
    """
    import open_clip  # noqa: PLC0415

    model = _require_text(parse(text))
    whole = _open_clip_model(model, folder)
    tokens = open_clip.get_tokenizer(model.name)(list(prompts))
    with torch.inference_mode():
        return cast("Tensor", whole.encode_text(tokens, normalize=True).clone())


def logit_scale(text: str, folder: Path) -> float:
    """What cosines are multiplied with."""
    return float(_open_clip_model(_require_text(parse(text)), folder).logit_scale.detach().exp())


def _require_text(model: LibraryModel) -> LibraryModel:
    if not model.has_text:
        raise TaskmarkError(
            f"The model {model.name!r} has no text tower; its heads are probed, not zero-shot."
        )
    return model


def _timm_encoder(model: LibraryModel, folder: Path) -> TowerEncoder:
    import timm  # noqa: PLC0415

    pretrained = not model.source
    tower = _created(
        model, lambda: timm.create_model(model.name, pretrained=pretrained, num_classes=0)
    )
    if (file := model.file(folder)) is not None:
        _fill(model, tower, file)
    config = tower.pretrained_cfg
    return TowerEncoder(
        tower,
        resolution=int(config["input_size"][-1]),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    ).eval()


def _open_clip_encoder(_model: LibraryModel, whole: Any) -> TowerEncoder:
    from open_clip import transform  # noqa: PLC0415

    visual = whole.visual
    mean = getattr(visual, "image_mean", None) or transform.OPENAI_DATASET_MEAN
    std = getattr(visual, "image_std", None) or transform.OPENAI_DATASET_STD
    side = visual.image_size[0] if isinstance(visual.image_size, tuple) else visual.image_size
    return TowerEncoder(visual, resolution=int(side), mean=tuple(mean), std=tuple(std)).eval()


def _open_clip_model(model: LibraryModel, folder: Path) -> Any:
    import open_clip  # noqa: PLC0415

    tag = None if model.source else model.tag
    whole = _created(model, lambda: open_clip.create_model(model.name, pretrained=tag))
    if (file := model.file(folder)) is not None:
        _require(model, file)
        tensors = plain_names(read_tensors(file))
        wanted = {name: tensor.shape for name, tensor in whole.named_parameters()}
        found = fit_weights(tensors, wanted, what=f"the file {str(file)!r}", of=f"{model.name}")
        whole.load_state_dict({**whole.state_dict(), **_floats(found)})
    return whole.eval()


def _created(model: LibraryModel, create: Any) -> Any:
    """A model of a library; numbers that are drawn are always the same ones."""
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            return create()
    except TaskmarkError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise TaskmarkError(
            f"The weights of {model.name!r} cannot be had from {model.library} ({reason}); fetch "
            f"them where there is a network, or bring a file: --backbone {model.name}=FILE."
        ) from error


def _fill(model: LibraryModel, tower: nn.Module, file: Path) -> None:
    _require(model, file)
    tensors = _tower_tensors(model, tower, file)
    state = tower.state_dict()
    wanted = {name: parameter.shape for name, parameter in tower.named_parameters()}
    found = fit_weights(
        tensors, wanted, what=f"the file {str(file)!r}", of=f"the model {model.name}"
    )
    check_finite(found, f"the file {str(file)!r}")
    buffers = {name: tensors[name] for name in state if name not in wanted and name in tensors}
    if lacking := [n for n in state if n not in found and n not in buffers and "running" in n]:
        raise TaskmarkError(
            f"The file {str(file)!r} lacks {lacking[0]} of the model {model.name}; bring its whole "
            "state dict."
        )
    tower.load_state_dict({**state, **_floats(found), **buffers})


def _floats(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.float() for name, tensor in tensors.items()}


def _tower_tensors(model: LibraryModel, tower: nn.Module, path: Path) -> dict[str, Tensor]:
    """The tensors of a file by the tower's names, without a classifier and what is beside it."""
    tensors = plain_names(read_tensors(path))
    if model.library == "open_clip":
        visual = {n.removeprefix(_VISUAL): t for n, t in tensors.items() if n.startswith(_VISUAL)}
        return visual or tensors
    # What is no vision transformer goes by the names of timm, or a sentence follows.
    with contextlib.suppress(TaskmarkError):
        tensors = layouts.by_names_of_timm(tensors).tensors
    classifier = tower.pretrained_cfg.get("classifier") or ()  # type: ignore[union-attr, operator]
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    kept = {
        name: tensor
        for name, tensor in tensors.items()
        if not any(name.startswith(f"{head}.") for head in heads)
    }
    return towers.resampled_positions(tower, kept)


def _require(model: LibraryModel, file: Path) -> None:
    if not file.is_file():
        raise TaskmarkError(
            f"The weights of {model.name!r} are not there: {str(file)!r} is no file; see how its "
            "name is spelt."
        )
