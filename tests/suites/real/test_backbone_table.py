"""The table of backbones against what the libraries say of the same weights."""

from __future__ import annotations

import open_clip
import pytest
import timm
import tomli_w

from taskmark.errors import TaskmarkError
from taskmark.suites.real.backbones import loading, public_backbones, towers
from taskmark.suites.real.backbones.backbone_lock import FILE as LOCK
from taskmark.suites.real.backbones.backbone_lock import read_lock

TABLE = public_backbones._read(public_backbones.FILE)
OF_CLIP = [name for name, backbone in TABLE.items() if backbone.clip]
OF_TIMM = [name for name, backbone in TABLE.items() if not backbone.clip and backbone.pretrained]


@pytest.mark.parametrize("name", OF_TIMM)
def test_timm_knows_the_weights_by_these_facts(name):
    backbone = TABLE[name]
    told = timm.get_pretrained_cfg(f"{backbone.model}.{backbone.pretrained}")
    assert (told.hf_hub_id, told.mean, told.std) == (
        backbone.repository,
        backbone.mean,
        backbone.std,
    )
    assert told.interpolation == backbone.interpolation
    side = backbone.options.get("img_size", told.input_size[-1])
    assert side == backbone.resolution
    assert told.license == backbone.licence.lower()


@pytest.mark.parametrize("name", OF_CLIP)
def test_open_clip_knows_the_weights_by_these_facts(name):
    backbone = TABLE[name]
    told = open_clip.get_pretrained_cfg(backbone.clip, backbone.pretrained)
    assert told["hf_hub"].rstrip("/") == backbone.repository
    assert (told["mean"], told["std"]) == (backbone.mean, backbone.std)
    assert told["interpolation"] == backbone.interpolation
    assert told.get("quick_gelu", False) is backbone.quick_gelu
    model = open_clip.get_model_config(backbone.clip)
    assert model.get("quick_gelu", False) is backbone.quick_gelu
    assert model["vision_cfg"]["image_size"] == backbone.resolution
    if backbone.projected:
        assert model["embed_dim"] == backbone.features


@pytest.mark.parametrize("name", TABLE)
def test_the_tower_has_the_features_the_activation_and_the_resolution_of_the_table(name):
    tower = towers.build(TABLE[name], device="meta")  # raises where one differs
    assert tower.patch_embed.img_size == (TABLE[name].resolution,) * 2


def test_the_lock_that_is_shipped_names_backbones_alone():
    assert set(read_lock(LOCK)) <= set(loading.names())


def test_a_tower_of_another_activation_is_refused():
    wrong = TABLE["clip-b-32-openai"].model_copy(update={"model": "vit_base_patch32_clip_224"})
    with pytest.raises(TaskmarkError, match=r"computes GELU, but the weights 'openai'.*QuickGELU"):
        towers.build(wrong, device="meta")


def test_features_of_another_number_are_refused():
    wrong = TABLE["mae-b-16"].model_copy(update={"features": 1024})
    with pytest.raises(TaskmarkError, match="gives 768 features, not 1024"):
        towers.build(wrong, device="meta")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": 1}, "either `repository` and `file`, or `seed`"),
        ({"clip": "ViT-B-32"}, "`clip` belongs to the library open_clip"),
        ({"speed": 3}, "Extra inputs"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(tmp_path, monkeypatch, change, told):
    entry = TABLE["mae-b-16"].model_dump(exclude_none=True) | change
    (tmp_path / "table.toml").write_text(tomli_w.dumps({"odd": entry}), "utf-8")
    monkeypatch.setenv("TASKMARK_BACKBONES_TABLE", str(tmp_path / "table.toml"))
    with pytest.raises(TaskmarkError, match=told):
        loading.names()
