"""All backbones of the table in small: the same classes and names, weights drawn, files as on hubs.

A test calls `make(folder)` once, which fills a hub's cache and writes a table and a lock, and
`use(made, monkeypatch)`, after which `taskmark.suites.real.backbones` knows these backbones alone,
by their usual names, with no network.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import open_clip
import timm
import tomli_w
import torch
from dataset_fixtures import REVISION, fill
from safetensors.torch import save

from taskmark.suites.real.backbones import loading, public_backbones, towers
from taskmark.suites.real.backbones.backbone_lock import LockedBackbone, write_lock
from taskmark.suites.real.backbones.public_backbones import PublicBackbone

if TYPE_CHECKING:
    from pathlib import Path

SIDE = 32
WIDTH = 32
PROJECTED = 24
TIMM = {"embed_dim": WIDTH, "depth": 2, "num_heads": 2, "patch_size": 8}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
VISION = {"layers": 2, "width": WIDTH, "head_width": 16, "patch_size": 8, "image_size": SIDE}


@dataclass(frozen=True)
class Made:
    """Where the small backbones lie."""

    cache: Path
    table: Path
    lock: Path

    def file(self, name) -> Path:
        """The weights of a backbone."""
        table = small()[name]
        root = self.cache / f"models--{table['repository'].replace('/', '--')}"
        return root / "snapshots" / REVISION / table["file"]

    def environment(self) -> dict[str, str]:
        """What a process must find to use them."""
        return {
            "TASKMARK_BACKBONES_TABLE": str(self.table),
            "TASKMARK_BACKBONES_LOCK": str(self.lock),
            "HF_HUB_CACHE": str(self.cache),
            "HF_HUB_OFFLINE": "1",
        }


def small():
    """The table, each entry shrunk."""
    tables = {}
    for name, backbone in public_backbones._read(public_backbones.FILE).items():
        table = backbone.model_dump(exclude_none=True, exclude_defaults=True)
        table |= {"resolution": SIDE, "options": {**TIMM, "img_size": SIDE}}
        table["features"] = PROJECTED if backbone.has_text else WIDTH
        if backbone.has_text:
            table["clip_options"] = {"embed_dim": PROJECTED, "text_cfg": TEXT}
        tables[name] = table
    return tables


def network(table):
    """The library's own model of a small entry, with weights that are drawn, the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(zlib.crc32(table["repository"].encode()))
        if table["library"] == "open_clip":
            sizes = {"embed_dim": PROJECTED, "text_cfg": TEXT, "vision_cfg": VISION}
            model = open_clip.CLIP(**{**open_clip.get_model_config(table["clip"]), **sizes})
        else:
            # DINOv2 was trained at a higher resolution than it is used at.
            options = {**table["options"], "img_size": 48 if "dinov2" in table["model"] else SIDE}
            model = timm.create_model(table["model"], num_classes=7, **options)
        for parameter in model.parameters():  # zeros and ones would hide what is mixed up
            parameter.data += 0.02 * torch.randn(parameter.shape)
    return model.eval()


def make(where: Path, names=None) -> Made:
    """Write small backbones, all unless some are named, and lock them."""
    made = Made(where / "hub", where / "backbones.toml", where / "backbones.lock.toml")
    tables, locks = small(), {}
    for name in names or tables:
        table = tables[name]
        if "seed" in table:
            tower = towers.draw_weights(PublicBackbone.model_validate(table))
            locks[name] = LockedBackbone(sha256=loading.sha256_of(tower))
            continue
        if not made.file(name).exists():  # two backbones share one
            state = network(table).state_dict()
            content = save({key: tensor.contiguous() for key, tensor in state.items()})
            fill(made.cache, table["repository"], {table["file"]: content}, kind="models")
        found = hashlib.sha256(made.file(name).read_bytes()).hexdigest()
        locks[name] = LockedBackbone(revision=REVISION, sha256=found)
    made.table.write_text(tomli_w.dumps(tables), "utf-8")
    write_lock(locks, made.lock)
    return made


def use(made: Made, monkeypatch) -> None:
    """Have the small backbones, and no network, until the test ends."""
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TASKMARK_BACKBONES", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(made.cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
