"""A run whose images stay in files outside of the store."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from textwrap import dedent, indent

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


@contextmanager
def _data_in(home):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TASKMARK_DATA", str(home / "data"))
        yield


def _run(tiny_suite, home, *methods, plugin=None, localisation=False):
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
        localisation=localisation,
        device="cpu",
        plugins=(plugin,) if plugin else (),
        workers=0,
        store=home / "store",
    )
    return run(config)


def _results(outcome):
    rows = {(r.method.name, r.recipe): (r.scale, r.curve, r.tasks) for r in outcome.records}
    kinds = (outcome.of("disentanglement"), outcome.of("localisation"))
    return rows, [[record.pairs for record in records] for records in kinds]


def test_images_in_files_give_what_images_in_memory_give(tiny_suite, tmp_path):
    found = []
    for place in ("files", "memory"):
        home = tmp_path / place
        (home / "data").mkdir(parents=True)
        if place == "memory":
            (home / "data" / streamed_provider.IN_MEMORY).touch()
        with _data_in(home):
            outcome = _run(tiny_suite, home, *METHODS, localisation=True)
        assert {record.state for record in outcome.records} == {"ok"}
        found.append(_results(outcome))
    assert found[0] == found[1]
    # Nothing of an image was copied to the store, in whichever form.
    for kind in ("data", "data_test", "inputs", "inputs_test"):
        files = list((folder_of(tmp_path / "files" / "store") / kind).glob("*.safetensors"))
        assert len(files) == len(streamed_provider.SIDES)
        assert max(file.stat().st_size for file in files) < SMALLEST


READS = {
    "opens the images of the test split": "open(TEST, 'rb').read()",
    "maps them": "import numpy\nnumpy.lib.format.open_memmap(TEST, mode='r')",
    "opens their labels through another name": "os.symlink(TEST, LINK)\nopen(LINK)",
    "opens any file beside them": "open(TEST + '.txt', 'w')",
    "asks for them as the harness does": (
        "from taskmark.suites.real.data import arrays\n"
        "from pathlib import Path\n"
        "arrays.split_arrays(Path(TEST).parent, 'test')"
    ),
}
BODIES = {
    "reads": """
        found = {}
        for name, code in READS.items():
            try: exec(code)
            except BaseException as error: found[name] = str(error)
            else: found[name] = "reached"
        with open(FOUND, "w") as file: json.dump(found, file)
    """,
    "asks": """
        images = given.images("lakes", "validation")
        assert images.dtype == torch.uint8 and images.shape == (60, 3, 8, 8)
        assert given.features(given.task_vectors[0], images[:5]).shape == (5, 8)
    """,
    "writes": """
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
    """,
    "opens_again": """
        given.images("lakes", "train")
        for name in os.listdir("/proc/self/fd"):
            place = f"/proc/self/fd/{name}"
            if os.path.exists(place) and os.readlink(place).endswith(".npy"):
                os.open(place, os.O_RDWR)
    """,
    "touches": "os.utime(TRAIN, (1, 1))",
}


@pytest.fixture(scope="module")
def plugged(tiny_suite, tmp_path_factory):
    """One run of a method for each body, and of `atlas` after them -> its folder, its records."""
    home = tmp_path_factory.mktemp("streamed")
    data = home / "data" / streamed_provider.folder_of("hills").name
    names = {
        "TEST": str(data / "test.npy"),
        "TRAIN": str(data / "train.npy"),
        "LINK": str(home / "link"),
        "FOUND": str(home / "found.json"),
        "READS": READS,
    }
    lines = ["import json, os, torch", "from taskmark import Edit, Method"]
    lines += [f"{name} = {value!r}" for name, value in names.items()]
    for name, body in BODIES.items():
        lines += [
            f"class {name.title().replace('_', '')}(Method):",
            f"    'Be.'\n    name = {name!r}\n    track = 'unlabelled'\n    def edit(self, given):",
            indent(dedent(body), " " * 8),
            "        return Edit(given.task_vectors.sum(0))",
        ]
    plugin = home / "sample.py"
    plugin.write_text("\n".join(lines) + "\n", "utf-8")
    with _data_in(home):
        outcome = _run(tiny_suite, home, *BODIES, "atlas", plugin=plugin)
    return home, {record.method.name: record for record in outcome.records}


@pytest.mark.parametrize("attempt", READS)
def test_a_plugin_cannot_open_the_images_outside_of_the_store(plugged, attempt):
    home, rows = plugged
    words = "it opened the suite's own files"
    assert json.loads((home / "found.json").read_text("utf-8"))[attempt].endswith(f"{words}.")
    assert rows["reads"].state == "failed"
    assert f"touched test data: {words}" in rows["reads"].reason


def test_a_plugin_gets_permitted_images_by_asking(plugged):
    row = plugged[1]["asks"]
    assert row.state == "ok", row.reason


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells what a process has mapped")
def test_a_plugin_maps_the_images_it_may_have_and_can_write_to_none(plugged):
    home, rows = plugged
    assert rows["writes"].state == "ok", rows["writes"].reason
    file = home / "data" / streamed_provider.folder_of("lakes").name / "train.npy"
    assert np.lib.format.open_memmap(file, mode="r").any()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux names what a process has open")
def test_a_plugin_cannot_open_again_what_it_has_mapped(plugged):
    assert "touched test data: it opened the suite's own files" in plugged[1]["opens_again"].reason


def test_images_that_were_touched_under_the_run_are_read_whole_again_and_used(plugged):
    home, rows = plugged
    data = home / "data" / streamed_provider.folder_of("hills").name / "train.npy"
    assert data.stat().st_mtime == 1
    assert (rows["touches"].state, rows["atlas"].state) == ("ok", "ok")


def test_images_that_were_changed_are_not_used(tiny_suite, tmp_path):
    with _data_in(tmp_path):
        _run(tiny_suite, tmp_path, "task_arithmetic")
        file = streamed_provider.folder_of("hills") / "test.npy"
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        words = r"test\.npy have the SHA-256 .* decode them again with"
        with pytest.raises(TaskmarkError, match=words):
            _run(tiny_suite, tmp_path, "ties")


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
