"""What each backbone is and where the hub keeps its weights, read from `backbones.toml`."""

from __future__ import annotations

import functools
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from taskmark.errors import TaskmarkError, unknown

FILE = Path(__file__).with_name("backbones.toml")
"""The table that is shipped; TASKMARK_BACKBONES_TABLE names another."""

Channels = tuple[float, float, float]
Positive = Annotated[int, Field(gt=0)]


class PublicBackbone(BaseModel):
    """One pre-trained network as its library knows it.

    Attributes:
        title: its name among people.
        library: whose layout the file of weights has.
        model: timm's name of the image tower, which is what runs.
        pretrained: the library's tag of the weights.
        clip: open_clip's name of the whole model, image and text.
        repository: "owner/name" on the hub; none if the weights are drawn.
        file: of the repository.
        seed: of weights that are drawn and not trained.
        projected: whether features are projected to the space that text shares.
        quick_gelu: whether the weights were trained with x * sigmoid(1.702 x) in place of GELU.
        options: passed to timm where its defaults do not serve.
        clip_options: likewise to open_clip.
        resolution: side of the images that the tower sees, pixels.
        mean: subtracted from pixels in [0, 1], by channel.
        std: what they are then divided by.
        interpolation: of images of another side.
        features: their number.
        licence: of the weights, in short.
        family: of the pre-training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    library: Literal["timm", "open_clip"]
    model: str
    pretrained: str | None = None
    clip: str | None = None
    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    file: str | None = None
    seed: int | None = None
    projected: bool = True
    quick_gelu: bool = False
    options: dict[str, Any] = {}
    clip_options: dict[str, Any] = {}
    resolution: Positive = 224
    mean: Channels
    std: Channels
    interpolation: Literal["bicubic"] = "bicubic"
    features: Positive
    licence: str
    family: Literal["supervised", "self-distillation", "masked", "image-text", "random"]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.seed is None) != (self.repository is not None and self.file is not None):
            raise ValueError("either `repository` and `file`, or `seed`")
        if (self.library == "open_clip") != (self.clip is not None):
            raise ValueError("`clip` belongs to the library open_clip")
        return self

    @property
    def has_text(self) -> bool:
        """Whether features share a space with text, so that heads may be zero-shot."""
        return self.clip is not None and self.projected


def definitions() -> dict[str, PublicBackbone]:
    """All backbones by name.

    Raises:
        TaskmarkError: if the table is not as it must be.
    """
    return _read(Path(os.environ.get("TASKMARK_BACKBONES_TABLE", FILE)))


@functools.cache
def _read(file: Path) -> dict[str, PublicBackbone]:
    try:
        tables = tomllib.loads(file.read_text("utf-8"))
        return {name: PublicBackbone.model_validate(table) for name, table in tables.items()}
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise TaskmarkError(
            f"The definitions of backbones in {file} are damaged ({error}); reinstall taskmark, "
            "or see what TASKMARK_BACKBONES_TABLE names."
        ) from error


def definition(name: str) -> PublicBackbone:
    """The backbone of a name.

    Raises:
        TaskmarkError: if there is none.
    """
    known = definitions()
    if name not in known:
        raise unknown("backbone", name, known)
    return known[name]
