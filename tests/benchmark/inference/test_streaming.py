"""A run whose images stay in files outside of the store."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import streamed_provider
import tiny_provider
import torch
from tiny_setting import setting_of

from taskmark.config import RunConfig
from taskmark.contract.head import Head
from taskmark.engine.run import run
from taskmark.errors import TaskmarkError
from taskmark.inference.items import Items
from taskmark.inference.readers import reader
from taskmark.plugins.method_choice import MethodChoice
from taskmark.stages.task_inputs import fingerprint
from taskmark.store.address import folder_of

METHODS = ("task_arithmetic", "linear_probing", "regmean", "adamerging")
SMALLEST = 60 * 3 * 4 * 4
"""Bytes of the images of the smallest split."""
TRACK = 'track = "unlabelled"'


@pytest.fixture
def streamed(tiny_suite, tmp_path, monkeypatch):
    """Run the suite; its images are in files, or in memory."""

    def start(*methods, plugin=None, in_memory=False):
        home = tmp_path / ("memory" if in_memory else "files")
        monkeypatch.setenv("TASKMARK_DATA", str(home / "data"))
        if in_memory:
            (home / "data").mkdir(parents=True)
            (home / "data" / streamed_provider.IN_MEMORY).touch()
        home.mkdir(exist_ok=True)
        text = tiny_suite.read_text("utf-8").replace("tiny_provider", "streamed_provider")
        for task in streamed_provider.SIDES:
            of_tiny, own = (fingerprint(p.task(task)) for p in (tiny_provider, streamed_provider))
            text = text.replace(of_tiny, own)
        suite = home / "tiny.toml"
        suite.write_text(text, "utf-8")
        config = RunConfig(
            suite=str(suite),
            out=home / "out",
            methods=tuple(map(MethodChoice, methods)),
            localisation=bool(methods[1:]),
            device="cpu",
            plugins=(plugin,) if plugin else (),
            workers=0,
            store=home / "store",
        )
        return home, run(config)

    return start


def _results(outcome):
    rows = {(r.method.name, r.recipe): (r.scale, r.curve, r.tasks) for r in outcome.records}
    kinds = (outcome.of("disentanglement"), outcome.of("localisation"))
    return rows, [[record.pairs for record in records] for records in kinds]


def test_images_in_files_give_what_images_in_memory_give(streamed):
    home, outcome = streamed(*METHODS)
    assert {record.state for record in outcome.records} == {"ok"}
    assert _results(outcome) == _results(streamed(*METHODS, in_memory=True)[1])
    # Nothing of an image was copied to the store, in whichever form.
    for kind in ("data", "data_test", "inputs", "inputs_test"):
        files = list((folder_of(home / "store") / kind).glob("*.safetensors"))
        assert len(files) == len(streamed_provider.SIDES)
        assert max(file.stat().st_size for file in files) < SMALLEST


READS = {
    "opens the images of the test split": "open(FILE, 'rb').read()",
    "maps them": "import numpy\nnumpy.lib.format.open_memmap(FILE, mode='r')",
    "opens their labels through another name": "os.symlink(FILE, LINK)\nopen(LINK)",
    "opens any file beside them": "open(FILE + '.txt', 'w')",
    "asks for them as the harness does": (
        "from taskmark.suites.real.data import arrays\n"
        "from pathlib import Path\n"
        "arrays.split_arrays(Path(FILE).parent, 'test')"
    ),
}


@pytest.mark.parametrize("attempt", READS)
def test_a_plugin_cannot_open_the_images_outside_of_the_store(streamed, plugin, tmp_path, attempt):
    data = tmp_path / "files" / "data" / streamed_provider.folder_of("hills").name / "test.npy"
    body = f"FILE, LINK = {str(data)!r}, {str(tmp_path / 'link')!r}\n{READS[attempt]}\n"
    file = plugin(f"{body}return Edit(given.task_vectors.sum(0))", facts=TRACK)
    _, outcome = streamed("sample", plugin=file)
    (record,) = [record for record in outcome.records if record.method.name == "sample"]
    assert record.state == "failed"
    assert "touched test data: it opened the suite's own files" in record.reason


def test_a_plugin_gets_permitted_images_by_asking(streamed, plugin):
    body = """
        images = given.images("lakes", "validation")
        assert images.dtype == torch.uint8 and images.shape == (60, 3, 8, 8)
        assert given.features(given.task_vectors[0], images[:5]).shape == (5, 8)
        return Edit(given.task_vectors.sum(0))
    """
    _, outcome = streamed("sample", plugin=plugin(body, facts=TRACK))
    (record,) = [record for record in outcome.records if record.method.name == "sample"]
    assert record.state == "ok", record.reason


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells what a process has mapped")
def test_a_plugin_maps_the_images_it_may_have_and_can_write_to_none(streamed, plugin):
    body = """
        images = given.images("lakes", "train")
        maps = open("/proc/self/maps").read()
        assert "train.npy" in maps and "test.npy" not in maps
        for name in os.listdir("/proc/self/fd"):
            place = f"/proc/self/fd/{name}"
            if os.path.exists(place) and os.readlink(place).endswith(".npy"):
                try:
                    os.write(int(name), b"x")
                except OSError:
                    continue
                raise AssertionError("it can be written to")
        images.zero_()
        assert not given.images("lakes", "train").any()
        return Edit(given.task_vectors.sum(0))
    """
    home, outcome = streamed("sample", plugin=plugin(body, facts=TRACK))
    (record,) = [record for record in outcome.records if record.method.name == "sample"]
    assert record.state == "ok", record.reason
    file = home / "data" / streamed_provider.folder_of("lakes").name / "train.npy"
    assert np.lib.format.open_memmap(file, mode="r").any()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux names what a process has open")
def test_a_plugin_cannot_open_again_what_it_has_mapped(streamed, plugin):
    body = """
        given.images("lakes", "train")
        for name in os.listdir("/proc/self/fd"):
            place = f"/proc/self/fd/{name}"
            if os.path.exists(place) and os.readlink(place).endswith(".npy"):
                os.open(place, os.O_RDWR)
    """
    _, outcome = streamed("sample", plugin=plugin(body, facts=TRACK))
    (record,) = [record for record in outcome.records if record.method.name == "sample"]
    assert "touched test data: it opened the suite's own files" in record.reason


def test_images_that_were_touched_under_the_run_are_read_whole_again_and_used(
    streamed, plugin, tmp_path
):
    data = tmp_path / "files" / "data" / streamed_provider.folder_of("hills").name / "train.npy"
    body = f"""
        os.utime({str(data)!r}, (1, 1))
        return Edit(given.task_vectors.sum(0))
    """
    _, outcome = streamed("sample", "atlas", plugin=plugin(body, facts=TRACK))
    states = {record.method.name: record.state for record in outcome.records}
    assert data.stat().st_mtime == 1
    assert (states["sample"], states["atlas"]) == ("ok", "ok")


def test_images_that_were_changed_are_not_used(streamed):
    streamed("task_arithmetic")
    file = streamed_provider.folder_of("hills") / "test.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(
        TaskmarkError, match=r"test\.npy have the SHA-256 .* decode them again with"
    ):
        streamed("ties")


def test_encoders_are_read_on_images_of_unlike_sizes_in_the_order_of_tasks():
    """Sides 4, 8, 4 in a row: no batch has two of them."""
    encoder = streamed_provider.backbone("plain")[1]
    source = torch.Generator().manual_seed(0)
    work = {
        f"{k}": Items(
            Head(torch.randn(3, 8, generator=source), torch.zeros(3)),
            torch.randint(0, 256, (n, 3, side, side), generator=source, dtype=torch.uint8),
            torch.zeros(n, dtype=torch.int64),
        )
        for k, (n, side) in enumerate([(9, 4), (5, 8), (11, 4), (2, 4)])
    }
    vector = torch.zeros(sum(p.numel() for p in encoder.parameters()))
    expected = {task: own.head.predict(encoder(own.inputs)) for task, own in work.items()}
    for mode in ("standard", "tangent"):
        found = reader(mode, setting_of(encoder)).predict(vector, [1.0], work)
        for task, classes in expected.items():
            assert torch.equal(found[task][0], classes)
