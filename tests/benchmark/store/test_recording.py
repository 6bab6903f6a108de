"""Recording: what was read and noted is on what is made from it, and on nothing else."""

from __future__ import annotations

import warnings

import pytest
import torch

from taskmark.machine.determinism import note_nondeterminism
from taskmark.store.artifacts import Store
from taskmark.store.recording import note, recording

ALARM = (
    "scatter_add_cuda_kernel does not have a deterministic implementation, but you set "
    "'torch.use_deterministic_algorithms(True, warn_only=True)'."
)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def _made(store, label, *, of=(), notes=()):
    with store.recording(label):
        for name in of:
            store.get("kind", name)
        for text in notes:
            note(text)
        store.put("kind", label, {"x": torch.ones(1)}, {})
    return store.read_facts("kind", label)


def test_an_artifact_knows_its_label_and_what_it_was_made_from(store):
    _made(store, "a")
    _made(store, "b")
    made = _made(store, "c", of="ba")
    assert (made.label, made.uses, made.notes) == ("c", ("kind/b", "kind/a"), ())


def test_a_note_goes_down_to_all_that_is_made_from_it(store):
    _made(store, "a", notes=["it was short of memory"])
    _made(store, "b", of="a", notes=["and this was not exact"])
    assert _made(store, "c", of="b").notes == ("it was short of memory", "and this was not exact")
    assert _made(store, "d").notes == ()


def test_what_torch_cannot_do_in_one_order_is_noted_by_its_name():
    with recording("test") as account, note_nondeterminism():
        warnings.warn(ALARM, UserWarning, stacklevel=1)
        warnings.warn(ALARM, UserWarning, stacklevel=1)
    assert list(account.notes) == ["scatter_add_cuda_kernel is not deterministic on this device"]


def test_other_warnings_are_what_they_were():
    with (
        recording("test") as account,
        note_nondeterminism(),
        pytest.raises(UserWarning, match="something else"),
    ):
        warnings.warn("something else", UserWarning, stacklevel=1)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        with note_nondeterminism():
            warnings.warn("something else", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in found] == ["something else"]
    assert not account.notes
