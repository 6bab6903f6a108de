"""The edit of a plug-in: what it is handed, beside what a built-in method is."""

from __future__ import annotations

import dataclasses
import sys

import pytest
import torch
from tiny_handout import tiny_handout

from taskmark.errors import CorruptArtifactError
from taskmark.plugins import child
from taskmark.plugins.registry import find
from taskmark.plugins.stand_ins import Limits, find_isolated
from taskmark.stages.editing import edit
from taskmark.store.address import folder_of
from taskmark.store.artifacts import Store
from taskmark.store.recording import note, recording

LIMITS = Limits(seconds=600, provider="tiny_provider")

# A method of each kind: heads, gradients of coefficients, Gram matrices of layers, a tangent, all
# experts, masks.
COPIED = (
    "linear_probing",
    "atlas",
    "regmean_plus",
    "tangent_fine_tuning",
    "experts",
    "emr",
)

METHODS = """
import torch
from torch.func import grad, jvp, vmap
from torch.nn.functional import cross_entropy
from taskmark import Edit, Head, Mask, Method


class Sum(Method):
    "Add up."

    name = "sum"

    def merge(self, given):
        assert not given._data._tensors
        return given.task_vectors.sum(0)


class Learns(Method):
    "Take gradients in every way."

    name = "learns"
    track = "labelled"

    def edit(self, given):
        first, second = given.tasks
        v = given.task_vectors.sum(0).requires_grad_()
        for task in given.tasks:
            x, y = given.images(task, "train")[:10], given.labels(task, "train")[:10]
            (g,) = torch.autograd.grad(cross_entropy(given.logits(v, task, x), y), v)
            v = (v - 0.1 * g).detach().requires_grad_()
        # Of coefficients, kept for a second time.
        a = torch.ones(2, requires_grad=True)
        f = given.features(a @ given.task_vectors, given.images(first))
        f.sum().backward(retain_graph=True)
        f.square().sum().backward()
        # Of inputs as well.
        w, x = given.task_vectors[0].clone().requires_grad_(), given.images(second)[:5].clone()
        gw, gx = torch.autograd.grad(given.features(w, x.requires_grad_()).exp().sum(), [w, x])
        # Of gradients.
        f = given.features(w, given.images(second)[:3]).square().sum()
        (once,) = torch.autograd.grad(f, w, create_graph=True)
        (twice,) = torch.autograd.grad(once.square().sum(), w)
        noise = torch.randn(given.space.size, generator=given.generator)
        with torch.no_grad():
            f = given.features(noise, given.images(first))
        vector = v.detach() + a.grad @ given.task_vectors + gw * gx.abs().sum() + twice
        return Edit(
            vector,
            heads={first: given.heads[second]},
            per_task={second: noise * f.norm()},
            masks={first: Mask(noise > 0, 0.5)},
            linearised_at=noise,
        )


class Transforms(Method):
    "Take derivatives by torch.func."

    name = "transforms"
    track = "unlabelled"

    def merge(self, given):
        x = given.images(given.tasks[0])[:6]
        v = given.task_vectors[0]
        loss = lambda vector: given.features(vector, x).square().sum()
        _, tangent = jvp(loss, (v,), (given.task_vectors[1],))
        both = vmap(lambda vector: given.features(vector, x).sum(0))(given.task_vectors)
        return grad(loss)(v) * tangent * both.sum()


class Claims(Method):
    "Claim what it has not done."

    name = "claims"
    track = "unlabelled"

    def merge(self, given):
        given._gradient_budget = 10**9
        v = given.task_vectors.sum(0).requires_grad_()
        for _ in range(11):
            given.features(v, given.images("hills", "train"))
        given._gradient_images, given._touched = 1, {"lakes/train/labels": 5}
        return v.detach()
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("plugin") / "sample.py"
    path.write_text(METHODS, "utf-8")
    return path


@pytest.fixture(scope="module")
def apart(file):
    """Each method of the plug-in, as a run knows it."""
    return {
        name: found.method()
        for name, found in find_isolated([file], LIMITS).items()
        if found.origin == "file"
    }


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("learns", "standard"),
        ("learns", "tangent"),
        ("transforms", "standard"),
    ],
)
def test_an_edit_has_the_same_bits_and_counts_as_in_the_runs_own_process(
    apart, file, tmp_path, name, recipe
):
    here = find([file])[name].method()
    handout = tiny_handout(tmp_path, track=here.track, recipe=recipe)
    expected = edit(here, handout, limits=LIMITS)
    found = edit(apart[name], handout, limits=LIMITS)
    assert expected.edit.vector.any()
    assert torch.equal(found.edit.vector, expected.edit.vector)
    if name == "learns":
        assert torch.equal(found.edit.linearised_at, expected.edit.linearised_at)
    else:
        assert found.edit.linearised_at is None
    assert found.edit.heads.keys() == expected.edit.heads.keys()
    for task, head in expected.edit.heads.items():
        assert torch.equal(found.edit.heads[task].weight, head.weight)
        assert found.edit.heads[task].normalise == head.normalise
    assert found.edit.per_task.keys() == expected.edit.per_task.keys()
    for task, vector in expected.edit.per_task.items():
        assert torch.equal(found.edit.per_task[task], vector)
    assert found.edit.masks.keys() == expected.edit.masks.keys()
    for task, mask in expected.edit.masks.items():
        assert torch.equal(found.edit.masks[task].kept, mask.kept)
        assert found.edit.masks[task].factor == mask.factor
    for count in ("touched", "gradient_images", "forward_images"):
        assert getattr(found, count) == getattr(expected, count)
    assert (found.own_word, expected.own_word) == (True, False)
    assert found.spent.seconds > 0
    assert found.spent.cpu_seconds > 0


def test_some_rows_are_handed_out_alone(apart, file, tmp_path):
    handout = tiny_handout(tmp_path, track="weights")
    alone = dataclasses.replace(
        handout, rows=(1,), tasks=("lakes",), heads={"lakes": handout.heads["lakes"]}
    )
    vectors = Store(tmp_path).get("task_vectors", handout.vectors).tensors["task_vectors"]
    for method in (apart["sum"], find([file])["sum"].method()):
        assert torch.equal(edit(method, alone, limits=LIMITS).edit.vector, vectors[1])


def test_a_method_on_weights_needs_no_model(apart, file, tmp_path):
    handout = tiny_handout(tmp_path, track="weights")
    expected = edit(find([file])["sum"].method(), handout, limits=LIMITS).edit.vector
    nowhere = dataclasses.replace(handout, provider="nowhere", weights="none")
    found = edit(apart["sum"], nowhere, limits=LIMITS).edit.vector
    assert expected.any()
    assert torch.equal(found, expected)


def test_counts_are_the_word_of_the_plugins_own_process(apart, tmp_path):
    handout = tiny_handout(tmp_path, track="unlabelled")
    store = Store(tmp_path)
    with recording("data"):
        note("It was cold.")
        own = store.get("inputs", handout.inputs["hills"])
        store.put("inputs", handout.inputs["hills"], own.tensors, own.facts)
    with recording("row") as account:
        found = edit(apart["claims"], handout, limits=LIMITS)
    assert found.own_word
    assert found.gradient_images == 1
    assert found.touched == {"lakes/train/labels": 5}
    # What it was handed is what its row is made from, whatever it says.
    assert {f"inputs/{key}" for key in handout.inputs.values()} < set(account.uses)
    assert "It was cold." in account.notes


def test_a_damaged_artifact_is_no_fault_of_the_plugin(apart, tmp_path):
    handout = tiny_handout(tmp_path, track="unlabelled")
    path = folder_of(tmp_path) / "inputs" / f"{handout.inputs['hills']}.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptArtifactError, match="it was set aside") as caught:
        edit(apart["transforms"], handout, limits=LIMITS)
    assert caught.value.artifact == f"inputs/{handout.inputs['hills']}"


def test_a_module_that_is_forgotten_is_in_no_package_either(tmp_path, monkeypatch):
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "__init__.py").write_text("", "utf-8")
    (tmp_path / "packed" / "data.py").write_text("x = 1\n\ndef test():\n    return x", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import packed.data  # noqa: PLC0415

    test = packed.data.test
    child._forget(["packed", "packed.data"], kept={"packed"})
    assert "packed" in sys.modules
    assert "packed.data" not in sys.modules
    assert not hasattr(sys.modules["packed"], "data")
    assert test() == 1  # what is made of it goes on
    del sys.modules["packed"]


def _row(outcome, name):
    (record,) = [record for record in outcome.records if record.method.name == name]
    return record


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """A plug-in with a copy of each of these methods."""
    path = tmp_path_factory.mktemp("copies") / "copied.py"
    classes = (
        f"class Copied{number}(get({name!r})):\n"
        f"    'A copy.'\n    name = 'copied_{name}'\n    role = 'competitor'\n"
        for number, name in enumerate(COPIED)
    )
    path.write_text("from taskmark.plugins.registry import get\n" + "".join(classes), "utf-8")
    return path


@pytest.mark.parametrize("name", COPIED)
def test_a_built_in_method_as_a_plugin_has_the_same_record(tiny_run, copies, name):
    """Whether it edits in its own process or in the run's makes no difference of a bit."""
    outcome = tiny_run(name, f"copied_{name}", plugin=copies)
    own, copied = _row(outcome, name), _row(outcome, f"copied_{name}")
    assert own.state == copied.state == "ok", copied.reason
    assert (own.method.origin, copied.method.origin) == ("built-in", "file")
    assert copied.method.hyperparameters == own.method.hyperparameters
    assert copied.counted.own_word
    assert not own.counted.own_word
    of_the_run = {
        "method": True,
        "measured": True,
        "provenance": True,
        "record_id": True,
        "counted": {"own_word"},
    }
    assert copied.model_dump(exclude=of_the_run) == own.model_dump(exclude=of_the_run)
