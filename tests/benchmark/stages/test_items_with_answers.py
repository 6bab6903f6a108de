"""Items that hold their answers: a method without labels is given their prompts, and no more."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from taskmark.contract.given import Given
from taskmark.contract.weights import WeightSpace
from taskmark.engine.stage_store import StageStore
from taskmark.errors import DataRefusedError
from taskmark.stages.task_inputs import Data, SuiteData, fingerprint
from taskmark.store.artifacts import Store
from taskmark.suites.mini_language import generated_tasks as tasks
from taskmark.suites.mini_language import provider
from taskmark.suites.mini_language.alphabet import ANSWER_TOKEN, PADDING

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    """What the harness keeps of an exact task and of a task of options."""
    store = StageStore(Store(tmp_path_factory.mktemp("store")), "cpu")
    found = {}
    for task in ("add", "mood"):
        data = Data(
            "taskmark.suites.mini_language.provider",
            provider.VERSION,
            task,
            fingerprint(tasks.load(task)),
        )
        data.make(store)
        found[task] = store.get(data)
        assert not any("prompts" in name for name in store.get(data, "data_test").tensors)
    return found


def given(artifacts, track):
    size = WeightSpace.of({"w": torch.zeros(3)})
    return Given(
        pretrained=torch.zeros(3),
        task_vectors=torch.ones(2, 3),
        space=size,
        tasks=("add", "mood"),
        track=track,
        data=SuiteData(artifacts, track=track),
    )


@pytest.mark.parametrize("split", ["train", "validation"])
def test_without_labels_a_method_sees_prompts_and_options_and_no_answer(artifacts, split):
    handed = given(artifacts, "unlabelled")
    for item, row in zip(tasks.items("add")[split], handed.images("add", split), strict=True):
        assert int(row.count_nonzero()) == len(item.prompt)
        assert row[len(item.prompt) - 1] == ANSWER_TOKEN
        assert (row[len(item.prompt) :] == PADDING).all()
    options = handed.images("mood", split)
    assert torch.equal(options, torch.from_numpy(getattr(tasks.load("mood"), split).images))
    with pytest.raises(DataRefusedError):
        handed.labels("add", split)


def test_nothing_of_the_answers_is_within_reach_of_a_method_without_labels(artifacts):
    kept = SuiteData(artifacts, track="unlabelled")._tensors["add"]
    assert set(kept) == {"train", "validation"}
    is_answer = tasks.load("add").validation.labels != -100
    assert (kept["validation"].numpy()[is_answer] == PADDING).all()
    assert SuiteData(artifacts, track="weights")._tensors == {}


def test_with_labels_a_method_sees_whole_items(artifacts):
    handed = given(artifacts, "labelled")
    split = tasks.load("add").validation
    assert np.array_equal(handed.images("add"), split.images)
    assert np.array_equal(handed.labels("add"), split.labels)


def test_the_order_of_options_says_nothing_of_the_answer():
    """Each item has its options in one order, and the right one is at any place of it."""
    labels = tasks.load("odd").train.labels
    assert np.bincount(labels, minlength=4).min() > len(labels) / 5
