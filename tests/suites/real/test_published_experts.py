"""Experts as collections publish them, from their files to a board, at toy length."""

from __future__ import annotations

import pytest
import torch
import toy_suites
from clip_vision_model import names_of_transformers
from safetensors.torch import load_file, save_file

from taskmark.commands.expert_commands import export_command
from taskmark.config import RunConfig
from taskmark.engine.run import run

TASKS = ("mnist", "svhn")
BACKBONE = "clip-b-32-openai"
WHOLE = {
    "cls_token": "class_embedding",
    "pos_embed": "positional_embedding",
    "head.weight": "proj",
    "patch_embed.proj.weight": "conv1.weight",
}
PARTS = {
    "blocks.": "transformer.resblocks.",
    "norm_pre.": "ln_pre.",
    "norm1.": "ln_1.",
    "norm2.": "ln_2.",
    "norm.": "ln_post.",
    "attn.qkv.": "attn.in_proj_",
    "attn.proj.": "attn.out_proj.",
    "mlp.fc1.": "mlp.c_fc.",
    "mlp.fc2.": "mlp.c_proj.",
}


def names_of_open_clip(weights):
    """Weights of a tower of timm under the names and in the shapes that open_clip writes."""
    found = {}
    for name, tensor in weights.items():
        own = WHOLE.get(name.removeprefix("tower."))
        if own is None:
            own = name.removeprefix("tower.")
            for timm, open_clip in PARTS.items():
                own = own.replace(timm, open_clip)
        value = tensor.T if own == "proj" else tensor
        shape = {"class_embedding": (-1,), "positional_embedding": tensor.shape[1:]}.get(own)
        found[f"visual.{own}"] = (value if shape is None else value.reshape(shape)).contiguous()
    return found


@pytest.fixture
def start(small, monkeypatch, tmp_path):  # noqa: ARG001 - small backbones must be in place
    """Run two tasks of clip-8, on their own experts or on those of a folder."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (tmp_path / "data").mkdir()
    data = toy_suites.make_data(tmp_path / "data", TASKS, monkeypatch)
    for name, value in data.environment().items():
        monkeypatch.setenv(name, value)
    suite = toy_suites.shortened("clip-8-1.0", tmp_path)

    def begin(experts=None):
        return run(
            RunConfig(
                suite=str(suite),
                out=tmp_path / "out",
                backbones=(BACKBONE,),
                methods=("task_arithmetic",),
                recipes=("standard",),
                experts=experts,
                tasks=TASKS,
                device="cpu",
                workers=0,
                store=tmp_path / "store",
            )
        ).records

    def export():
        config = RunConfig(
            suite=str(suite),
            backbones=[BACKBONE],
            tasks=TASKS,
            seeds=[0],
            device="cpu",
            store=tmp_path / "store",
        )
        export_command(tmp_path / "exported", config, recipe="standard")
        return tmp_path / "exported"

    begin.export = export
    return begin


def results(records):
    return {r.method.name: (r.tasks, r.geometry, r.scale) for r in records}


def test_published_layouts_of_one_expert_leave_the_same_results(start, tmp_path):
    own = start()
    exported = start.export()
    assert results(start(exported)) == results(own)

    folder = tmp_path / "checkpoints"
    for name, task in (("MNISTVal", "mnist"), ("SVHNVal", "svhn")):
        (folder / name).mkdir(parents=True)
        state = names_of_open_clip(load_file(exported / BACKBONE / "0" / f"{task}.safetensors"))
        whole = {f"model.{n}": t for n, t in state.items()}
        whole["model.token_embedding.weight"] = torch.zeros(3, 2)  # of a text tower
        torch.save(whole, folder / name / "nonlinear_finetuned.pt")
    records = start(folder)
    assert results(records) == results(own)
    assert {record.experts.family[:8] for record in records} == {"unnamed-"}


def test_experts_of_transformers_keep_the_projection_that_was_pretrained(start, tmp_path):
    own = start()
    exported = start.export()
    folder = tmp_path / "repositories"
    for task in TASKS:
        state = names_of_open_clip(load_file(exported / BACKBONE / "0" / f"{task}.safetensors"))
        place = folder / f"clip-vit-base-patch32_{task}"
        place.mkdir(parents=True)
        save_file(names_of_transformers(state), place / "model.safetensors")
    records = start(folder)
    assert {record.state for record in records} == {"ok"}
    norms = [r[0].geometry.task_vector_norms for r in (own, records)]
    for task in TASKS:
        assert 0 < norms[1][task] < norms[0][task]
