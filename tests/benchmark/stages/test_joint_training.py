"""Joint training tunes one model on all tasks, and is shown beside merged models, never ranked."""

from __future__ import annotations

import pytest
import tiny_provider
import torch
from tiny_setting import experts_of, request_of, store_at
from torch.nn import functional

from taskmark.contract.head import Head
from taskmark.engine.plan import plan
from taskmark.reports.board import boards
from taskmark.stages.joint_training import (
    JOINT,
    JointHead,
    MeasureJointRow,
    TuneJointly,
    join_items,
)
from taskmark.stages.row import MeasureRow
from taskmark.suites.task_data import Sizes


@pytest.fixture
def affordable(monkeypatch):
    monkeypatch.setattr(tiny_provider, "JOINT_TRAINING", {"tiny"}, raising=False)


def heads(source):
    return tuple(
        Head(torch.randn(n, 5, generator=source), torch.randn(n, generator=source)) for n in (2, 3)
    )


def test_the_loss_is_the_mean_over_items_each_under_the_head_of_its_task():
    source = torch.Generator().manual_seed(0)
    one, two = heads(source)
    outputs = torch.randn(4, 5, generator=source)
    targets = torch.tensor([[0, 1], [1, 2], [1, 0], [0, 0]])
    each = [
        functional.cross_entropy(head.logits(outputs[i : i + 1]), targets[i : i + 1, 1])
        for i, head in enumerate((one, two, two, one))
    ]
    assert torch.allclose(JointHead((one, two)).loss(outputs, targets), torch.stack(each).mean())


def test_a_batch_without_items_of_a_task_asks_nothing_of_its_head():
    one, two = heads(torch.Generator().manual_seed(0))
    outputs, targets = torch.ones(2, 5), torch.tensor([[1, 0], [1, 2]])
    assert torch.equal(
        JointHead((one, two)).loss(outputs, targets), two.loss(outputs, targets[:, 1])
    )


def test_items_are_joined_with_the_place_of_their_task_as_often_as_they_are_passed():
    tasks = [
        {"train": torch.tensor([[1.0], [2.0]]), "train_labels": torch.tensor([0, 1])},
        {"train": torch.tensor([[3.0]]), "train_labels": torch.tensor([4])},
    ]
    items, targets = join_items(tasks, [1, 2])
    assert items.flatten().tolist() == [1, 2, 3, 3]
    assert targets.tolist() == [[0, 0], [0, 1], [1, 4], [1, 4]]


def test_it_passes_as_many_items_back_as_the_experts_together(tiny_suite):
    experts = experts_of(request_of(tiny_suite, "ties"))
    sizes = {task: Sizes(320, 64, 64, 0, is_here=True) for task in experts.inputs}
    of_experts = sum(own.cost(sizes).learning for own in experts.vectors.experts.values())
    assert TuneJointly.of(experts).cost(sizes).learning == of_experts > 0


def test_it_is_planned_where_the_provider_affords_it_and_changes_no_other_key(
    tiny_suite, monkeypatch, tmp_path
):
    request, store = request_of(tiny_suite, "ties", "tangent_fine_tuning"), store_at(tmp_path)
    before = [store.key(stage) for stage in plan(request)]
    monkeypatch.setattr(tiny_provider, "JOINT_TRAINING", {"tiny"}, raising=False)
    stages = plan(request)
    new = [stage for stage in stages if store.key(stage) not in before]
    assert [type(stage) for stage in new] == [TuneJointly, MeasureJointRow]
    assert [store.key(stage) for stage in stages if stage not in new] == before
    rows = [place for place, stage in enumerate(stages) if isinstance(stage, MeasureRow)]
    assert stages.index(new[0]) > max(rows)


@pytest.mark.usefixtures("affordable")
def test_its_row_is_a_reference_with_bits_and_cost_and_no_rank(tiny_run, tmp_path):
    outcome = tiny_run("task_arithmetic", out=tmp_path / "out")
    [record] = [record for record in outcome.records if record.method.name == JOINT]
    assert (record.state, record.recipe, record.method.role) == ("ok", "standard", "reference")
    assert record.counted.gradient_images > 0
    assert set(record.counted.data_touched) >= {"hills/train/images", "woods/train/labels"}
    assert record.find_contradiction() == ""
    by_name = {other.method.name: other for other in outcome.records}
    assert record.accuracy > by_name["pretrained"].accuracy + 0.05
    assert record.accuracy > by_name["task_arithmetic"].accuracy - 0.05
    [board] = boards(outcome.records)
    assert JOINT in {row.label for row in board.references}
    assert JOINT not in {row.label for row in board.ranked}


@pytest.mark.usefixtures("affordable")
def test_it_is_made_once(tiny_run, tmp_path):
    first, again = (tiny_run(out=tmp_path / "out") for _ in range(2))
    of = [next(r for r in outcome.records if r.method.name == JOINT) for outcome in (first, again)]
    assert of[0] == of[1]
