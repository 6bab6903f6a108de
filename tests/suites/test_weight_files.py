"""Files of weights that others wrote: what is read, and what is refused before anything runs."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from taskmark.errors import TaskmarkError
from taskmark.suites.weight_files import files_of, read_tensors


class ImageEncoder(torch.nn.Linear):
    """Stands for the class of somebody else's package."""


def test_a_pickled_module_is_refused_and_nothing_of_it_runs(tmp_path):
    torch.save(ImageEncoder(2, 2), tmp_path / "whole.pt")
    with pytest.raises(TaskmarkError, match=r"pickled module.*save `module.state_dict\(\)`"):
        read_tensors(tmp_path / "whole.pt")


@pytest.mark.filterwarnings("ignore:.*TorchScript:UserWarning")
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_an_archive_of_torchscript_is_refused(tmp_path):
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path / "w.pt")
    with pytest.raises(TaskmarkError, match="pickled module"):
        read_tensors(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("dtd.pt", b"<html>not found</html>", r"dtd\.pt is damaged"),
        (
            "dtd.safetensors",
            b"\x08\x00\x00\x00\x00\x00\x00\x00{}    ",
            r"dtd\.safetensors is damaged",
        ),
        ("dtd.npz", b"", r"bring a file that ends in \.safetensors, \.pt"),
        (None, b"", r"There is no file of weights .*gone\.pt"),
    ],
)
def test_a_file_that_cannot_be_read_is_said(tmp_path, name, content, told):
    path = tmp_path / (name or "gone.pt")
    if name:
        path.write_bytes(content)
    with pytest.raises(TaskmarkError, match=told):
        read_tensors(path)


@pytest.mark.parametrize("content", [3.0, [1, 2], {"epoch": 3}, torch.zeros(2)])
def test_a_file_without_tensors_by_name_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "dtd.pt")
    with pytest.raises(TaskmarkError, match="holds no tensors by name"):
        read_tensors(tmp_path / "dtd.pt")


@pytest.mark.parametrize("around", ["state_dict", "model_state_dict", "model", "module"])
def test_what_a_trainer_wraps_around_tensors_is_taken_off(tmp_path, around):
    torch.save({around: {"a": torch.ones(2)}, "epoch": 3}, tmp_path / "dtd.PT")
    assert read_tensors(tmp_path / "dtd.PT")["a"].tolist() == [1, 1]


def shards(folder, places, **files):
    """Files of one tensor each, under an index that says which tensor is where."""
    for name, tensors in files.items():
        save_file({n: torch.ones(1) for n in tensors}, folder / f"{name}.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}), "utf-8")
    return index


def test_several_files_are_read_through_their_index(tmp_path):
    places = {"a": "x.safetensors", "b": "y.safetensors"}
    index = shards(tmp_path, places, x="a", y="b", z="c")
    assert set(read_tensors(index)) == {"a", "b"}
    assert [file.name for file in files_of(index)] == [index.name, *places.values()]
    (tmp_path / "y.safetensors").unlink()
    with pytest.raises(TaskmarkError, match=r"names 2 files and y\.safetensors is not there"):
        read_tensors(index)


@pytest.mark.parametrize(
    ("places", "told"),
    [
        ({"a": "x.safetensors"}, "'b', which .* does not place there"),
        ({"a": "x.safetensors", "b": "x.safetensors", "c": "x.safetensors"}, "'c' is not in x"),
        ({"a": "../x.safetensors"}, "names '../x.safetensors', which is no file of weights"),
        ({"a": "/etc/x.safetensors"}, "no file of weights beside it"),
        ({"a": "x\\0.safetensors"}, "no file of weights beside it"),
        ({"a": "model.safetensors.index.json"}, "no file of weights beside it"),
        ({"a": 3}, "no file of weights beside it"),
        ([], "has no table of tensors"),
        (None, "has no table of tensors"),
    ],
)
def test_an_index_that_does_not_fit_its_files_is_refused(tmp_path, places, told):
    (tmp_path / "in").mkdir()
    with pytest.raises(TaskmarkError, match=told):
        read_tensors(shards(tmp_path / "in", places, x="ab"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b"3"])
def test_an_index_that_is_no_index_is_refused(tmp_path, content):
    index = tmp_path / "model.safetensors.index.json"
    index.write_bytes(content)
    with pytest.raises(TaskmarkError, match="has no table of tensors"):
        read_tensors(index)
