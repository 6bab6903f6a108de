"""Files of weights that others wrote: what is read, and what is refused before anything runs."""

from __future__ import annotations

import pytest
import torch

from taskmark.errors import TaskmarkError
from taskmark.suites.weight_files import read_tensors


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
