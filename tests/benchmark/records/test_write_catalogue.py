"""What a run says of its methods, tasks and backbones, and how it is read back."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import tiny_provider
from PIL import Image

from taskmark.errors import TaskmarkError
from taskmark.plugins.registry import find, get
from taskmark.records.catalogue import Catalogue, HyperParameter, method_path, read_catalogue
from taskmark.records.write_catalogue import method_entry
from taskmark.store.address import folder_of


def test_a_run_writes_an_entry_for_each_method_and_for_its_suite(tiny_run, tmp_path):
    out = tmp_path / "out"
    outcome = tiny_run("ties", out=out)
    found = read_catalogue(out)
    assert set(found.methods) == {record.method.name for record in outcome.records}
    (suite,) = found.suites.values()
    assert suite.suite == outcome.records[0].suite
    assert list(suite.tasks) == ["hills", "lakes", "woods"]
    hills = suite.tasks["hills"]
    assert hills.classes == tiny_provider.CLASSES
    assert (hills.n_train, hills.n_validation) == (96, 60)
    assert [example.label for example in hills.examples] == list(tiny_provider.CLASSES)
    assert set(suite.backbones) >= {record.backbone for record in outcome.records}


def test_an_example_is_a_training_image_of_its_class(tiny_run, tmp_path):
    tiny_run(out=tmp_path / "out")
    (suite,) = read_catalogue(tmp_path / "out").suites.values()
    train = tiny_provider.task("lakes").train
    for label, example in enumerate(suite.tasks["lakes"].examples):
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(example.png))))
        first = np.flatnonzero(train.labels == label)[0]
        assert (pixels == train.images[first]).all()


def test_what_other_runs_said_stays_and_the_same_run_writes_the_same(tiny_run, tmp_path):
    out = tmp_path / "out"
    tiny_run("ties", out=out)
    files = {path: path.read_bytes() for path in (out / "catalogue").rglob("*.json")}
    tiny_run("task_arithmetic", out=out, tasks=("hills", "woods"))
    found = read_catalogue(out)
    assert {"ties", "task_arithmetic"} < set(found.methods)
    assert sorted(len(suite.tasks) for suite in found.suites.values()) == [2, 3]
    assert {path: path.read_bytes() for path in files} == files


def test_pictures_of_an_earlier_run_are_kept_where_the_store_has_no_images_any_more(
    tiny_run, tmp_path
):
    out, store = tmp_path / "out", tmp_path / "store"
    tiny_run(out=out, store=store)
    before = read_catalogue(out)
    for path in (folder_of(store) / "data").iterdir():
        path.unlink()
    tiny_run(out=out, store=store)
    assert read_catalogue(out) == before
    tiny_run(out=tmp_path / "another", store=store)
    (suite,) = read_catalogue(tmp_path / "another").suites.values()
    assert suite.tasks["hills"].examples == ()


def test_a_method_says_its_docstring_and_its_fields():
    entry = method_entry(find()["ties"])
    assert entry.file == "methods/ties.py"
    assert entry.description.startswith(get("ties").summary())
    assert "Attributes:" in entry.description
    fields = {field.name: (field.values, field.default) for field in entry.hyperparameters}
    assert fields["density"] == ("number > 0, ≤ 1", "0.2")
    assert fields["scope"] == ('"global" or "tensor"', '"global"')
    assert entry.scale_range == (0.0, 2.0)


def test_every_built_in_method_can_be_catalogued():
    for name, found in find().items():
        entry = method_entry(found)
        assert entry.description, name
        assert all(field.values for field in entry.hyperparameters), name


def test_a_plug_in_is_read_and_not_run(tiny_run, plugin, tmp_path):
    facts = '"""Not this."""\nshare: float = 0.5'
    path = plugin("return Edit(given.task_vectors.sum(0))", facts=facts)
    text = path.read_text().replace('"""A plug-in."""', '"""A plug-in.\n\n    And how.\n    """')
    path.write_text(text)
    out = tmp_path / "out"
    tiny_run("sample", plugin=path, out=out)
    entry = read_catalogue(out).methods["sample"]
    assert entry.description == "A plug-in.\n\nAnd how."
    assert entry.file == "sample.py"
    assert entry.hyperparameters == (HyperParameter(name="share", values="number", default="0.5"),)


def test_no_catalogue_is_an_empty_one(tmp_path):
    assert read_catalogue(tmp_path) == Catalogue()


def test_a_file_that_is_no_entry_is_named(tmp_path):
    path = method_path(tmp_path, "ties")
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(TaskmarkError, match=r"ties\.json.*no entry of a catalogue.*delete"):
        read_catalogue(tmp_path)
