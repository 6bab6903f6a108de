"""Checkpoints: tuning that was interrupted leads to the very bits of tuning that was not."""

from __future__ import annotations

import pytest
import torch
from tiny_setting import setting_of

from taskmark import Head
from taskmark.contract.recipe import get_recipe
from taskmark.stages.tuning import tune
from taskmark.store.artifacts import Store
from taskmark.store.recording import recording
from taskmark.store.tuning_checkpoints import CHECKPOINTS, Checkpoints, discard_outlived
from taskmark.suite.protocol import Tuning

TUNING = Tuning(
    learning_rate=1e-2, weight_decay=0.1, warmup=0.25, clip_norm=0.5, epochs=3, batch_size=8
)
N_STEPS = 9  # three batches of the twenty images, three epochs


class KilledError(Exception):
    pass


class KilledAfter(Checkpoints):
    """Kept every so many steps, until the process is killed after one of them."""

    def __init__(self, store, *, every=1, steps=10**9):
        super().__init__(store, "key", interval=0)
        self.every, self.steps, self.n = every, steps, 0

    @property
    def is_due(self):
        if self.n == self.steps:
            raise KilledError
        self.n += 1
        return self.n % self.every == 0


@pytest.fixture
def tuned(encoder, inputs):
    head = Head(
        torch.randn(3, 8, generator=torch.Generator().manual_seed(7), dtype=torch.float64),
        torch.zeros(3).double(),
    )
    setting = setting_of(encoder, dtype=torch.float64)

    def start(checkpoints=None, *, mode="standard"):
        return tune(
            encoder,
            setting.space,
            setting.pretrained,
            head,
            inputs,
            torch.arange(20) % 3,
            recipe=get_recipe(mode),
            tuning=TUNING,
            generator=torch.Generator().manual_seed(3),
            device=torch.device("cpu"),
            checkpoints=checkpoints,
        )

    return start


def _kept(store):
    """The facts of the one checkpoint that there is."""
    (name,) = store.keys(CHECKPOINTS)
    return store.get(CHECKPOINTS, name).facts


def test_killed_while_it_keeps_progress_it_goes_on_from_what_it_kept_before(
    tuned, tmp_path, monkeypatch
):
    whole, store = tuned(), Store(tmp_path)
    with pytest.raises(KilledError):
        tuned(KilledAfter(store, steps=4))

    def killed(path, content):
        if path.suffix == ".json":
            raise KilledError
        path.write_bytes(b"".join(content))

    with monkeypatch.context() as patched:
        patched.setattr("taskmark.store.artifacts.write_atomically", killed)
        with pytest.raises(KilledError):
            tuned(KilledAfter(store))
    assert len(store.keys(CHECKPOINTS)) == 2  # one of them is half there
    again = KilledAfter(store)
    assert torch.equal(tuned(again).vector, whole.vector)
    assert again.n == N_STEPS - 4
    assert len(store.keys(CHECKPOINTS)) == 1


@pytest.mark.parametrize("mode", ["standard", "tangent"])
@pytest.mark.parametrize("steps", range(1, N_STEPS + 1))
def test_killed_after_any_step_it_goes_on_to_the_same_bits(tuned, tmp_path, mode, steps):
    whole = tuned(mode=mode)
    store = Store(tmp_path)
    with pytest.raises(KilledError):
        tuned(KilledAfter(store, steps=steps - 1), mode=mode)
    again = KilledAfter(store)
    resumed = tuned(again, mode=mode)
    assert torch.equal(resumed.vector, whole.vector)
    assert resumed.losses == whole.losses
    assert again.n == N_STEPS - (steps - 1)  # and it did not begin anew


def test_killed_again_and_again_it_comes_to_the_same_end(tuned, tmp_path):
    whole, store = tuned(), Store(tmp_path)
    for _ in range(N_STEPS // 2):
        with pytest.raises(KilledError):
            tuned(KilledAfter(store, every=2, steps=3))  # a step after each is lost
        if _kept(store)["epoch"] == 2:
            break
    resumed = tuned(KilledAfter(store))
    assert torch.equal(resumed.vector, whole.vector)
    assert resumed.losses == whole.losses


def test_time_spent_before_is_counted(tuned, tmp_path):
    store = Store(tmp_path)
    with pytest.raises(KilledError):
        tuned(KilledAfter(store, steps=4))
    kept = _kept(store)["seconds"]
    again = KilledAfter(store)
    tuned(again)
    assert again.seconds == kept > 0


def test_a_damaged_checkpoint_costs_time_and_nothing_else(tuned, tmp_path):
    whole, store = tuned(), Store(tmp_path)
    with pytest.raises(KilledError):
        tuned(KilledAfter(store, steps=4))
    (name,) = store.keys(CHECKPOINTS)
    facts, tensors = store.files(CHECKPOINTS, name)
    tensors.write_bytes(tensors.read_bytes()[:-1])
    assert torch.equal(tuned(KilledAfter(store)).vector, whole.vector)
    assert facts.with_name(f"{facts.name}.damaged").is_file()


def test_what_is_tuned_in_less_than_the_interval_leaves_none(tuned, tmp_path):
    store = Store(tmp_path)
    tuned(Checkpoints(store, "key", interval=3600))
    assert list(store) == []


def test_a_checkpoint_goes_with_what_it_led_to_and_is_in_nobodys_account(tuned, tmp_path):
    store = Store(tmp_path)
    with pytest.raises(KilledError):
        tuned(KilledAfter(store, steps=4))
    with recording("test") as account:
        assert Checkpoints(store, "key").load() is not None
    assert not account.uses
    discard_outlived(store, "experts")
    assert len(list(store)) == 1
    store.put("experts", "key", {}, {})
    discard_outlived(store, "experts")
    assert list(store) == [("experts", "key")]


def test_tuning_that_is_short_of_memory_adds_up_the_same_gradients(tuned, encoder, monkeypatch):
    whole = tuned()
    forward = type(encoder).forward

    def short(module, batch):
        if len(batch) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return forward(module, batch)

    monkeypatch.setattr(type(encoder), "forward", short)
    with recording("test") as account:
        parts = tuned()
    assert torch.allclose(parts.vector, whole.vector, rtol=0, atol=1e-9)
    assert parts.losses == pytest.approx(whole.losses, abs=1e-12)
    assert "out of memory: 2 images at a time instead of 4" in account.notes
