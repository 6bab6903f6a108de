"""Task negation: the rule by hand, the curve by brute force, the record of a run."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_provider
import torch
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st
from tiny_setting import experts_of, request_of, setting_of, store_at
from torch.func import functional_call

from taskmark import Head
from taskmark.config import RunConfig
from taskmark.engine.run import run
from taskmark.errors import TaskmarkError
from taskmark.inference.items import Items
from taskmark.inference.readers import reader
from taskmark.plugins.method_choice import MethodChoice
from taskmark.records.negation_record import NegationRecord, NegationTrial
from taskmark.records.packing import unpack_bits
from taskmark.stages.negation import choose, controls_of, sweep

SECTION = "\n[protocol.negation]\n"
TASKS = ("hills", "lakes", "woods")


def _curve(*rows):
    return [NegationTrial(alpha=a, target=t, controls=tuple(c)) for a, t, *c in rows]


# The rule.


def test_the_lowest_target_among_those_whose_control_is_kept_wins():
    curve = _curve((0.0, 0.9, 0.8), (0.5, 0.4, 0.77), (0.75, 0.3, 0.759), (1.0, 0.1, 0.5))
    assert choose(curve, 0.95).alpha == 0.5  # 0.95 * 0.8 = 0.76
    assert choose(curve, 0.94).alpha == 0.75
    assert choose(curve, 0.5).alpha == 1.0


def test_where_no_other_alpha_qualifies_nothing_is_subtracted():
    curve = _curve((0.0, 0.9, 0.8), (0.5, 0.2, 0.7), (1.0, 0.1, 0.75))
    assert choose(curve, 0.95).alpha == 0


def test_where_subtracting_only_helps_the_target_nothing_is_subtracted():
    assert choose(_curve((0.0, 0.5, 0.8), (0.5, 0.6, 0.9), (1.0, 0.7, 0.9)), 0.95).alpha == 0


def test_of_equal_targets_the_smallest_alpha_wins():
    assert choose(_curve((1.0, 0.2, 0.8), (0.5, 0.2, 0.8), (0.0, 0.9, 0.8)), 0.95).alpha == 0.5


def test_every_control_must_be_kept():
    curve = _curve((0.0, 0.9, 0.8, 0.4), (0.5, 0.3, 0.8, 0.37), (1.0, 0.4, 0.79, 0.39))
    assert choose(curve, 0.95).alpha == 1.0  # 0.37 is less than 0.95 * 0.4


@pytest.mark.parametrize("n", [20, 40, 60, 100, 140, 200])
def test_exactly_the_share_is_enough_whatever_the_last_bit_says(n):
    pretrained, kept = n / 300, 19 * (n // 20) / 300
    curve = _curve((0.0, 0.9, pretrained), (0.5, 0.3, kept), (1.0, 0.1, kept - 1 / 300))
    assert choose(curve, 0.95).alpha == 0.5


FRACTIONS = st.integers(0, 20).map(lambda n: n / 20)


@settings(max_examples=60, deadline=None)
@for_all(st.lists(st.tuples(FRACTIONS, FRACTIONS, FRACTIONS), min_size=1, max_size=8), FRACTIONS)
def test_a_choice_keeps_its_controls_and_no_other_that_does_is_lower(rows, keep):
    curve = _curve(*((place / 10, *row) for place, row in enumerate(rows)))
    chosen = choose(curve, keep)

    def kept(trial):
        before = curve[0].controls
        return all(
            20 * now >= keep * 20 * b - 1e-6 for now, b in zip(trial.controls, before, strict=True)
        )

    assert kept(chosen)
    assert chosen.target <= curve[0].target
    assert not any(kept(trial) and trial.target < chosen.target for trial in curve)


def test_controls_are_the_tasks_that_follow_the_last_followed_by_the_first():
    assert controls_of("hills", TASKS, 1) == ("lakes",)
    assert controls_of("woods", TASKS, 1) == ("hills",)
    assert controls_of("lakes", TASKS, 2) == ("woods", "hills")
    assert controls_of("lakes", TASKS, 9) == ("woods", "hills")  # a target never controls itself


def test_controls_are_those_named_where_they_are_among_the_tasks():
    wanted = {"hills": ("woods",), "lakes": ("coast", "hills")}
    assert controls_of("hills", TASKS, wanted) == ("woods",)
    assert controls_of("lakes", TASKS, wanted) == ("hills",)
    assert controls_of("woods", TASKS, wanted) == ("hills",)  # not named: the next one
    assert controls_of("hills", TASKS[:2], wanted) == ("lakes",)  # woods is not run


def test_controls_may_be_the_same_for_all_and_need_not_be_merged():
    assert controls_of("hills", TASKS, ("seas",), others=("seas",)) == ("seas",)
    assert controls_of("hills", TASKS, ("woods", "seas"), others={"seas": 0}) == ("woods", "seas")
    assert controls_of("woods", TASKS, ("woods",)) == ("hills",)  # none but itself: the next one
    assert controls_of("hills", ("hills",), ("seas",), others=("seas",)) == ("seas",)


# The curve.


def _plain(encoder, weights, inputs, head):
    state, start = {}, 0
    for name, parameter in encoder.named_parameters():
        state[name] = weights[start : start + parameter.numel()].view(parameter.shape)
        start += parameter.numel()
    with torch.no_grad():
        return head.predict(functional_call(encoder, state, (inputs,)))


def test_a_sweep_measures_the_model_less_the_direction(encoder, inputs):
    encoder = encoder.float()
    setting = setting_of(encoder)
    source = torch.Generator().manual_seed(8)
    splits = {
        task: Items(
            Head(torch.randn(3, 8, generator=source), torch.zeros(3)),
            inputs.float() + shift,
            torch.arange(20) % 3,
        )
        for shift, task in enumerate(TASKS)
    }
    direction = 0.5 * torch.randn(setting.space.size, generator=source)
    theta0 = setting.pretrained.clone()
    curve = sweep(
        reader("standard", setting), direction, splits, "lakes", ("woods", "hills"), (0.0, 0.5, 1.0)
    )
    plain = tiny_provider.backbone("plain")[1]
    assert [trial.alpha for trial in curve] == [0.0, 0.5, 1.0]
    for trial in curve:
        weights = theta0 - trial.alpha * direction
        expected = {
            task: float((_plain(plain, weights, s.inputs, s.head) == s.targets).double().mean())
            for task, s in splits.items()
        }
        assert trial.target == pytest.approx(expected["lakes"])
        assert trial.controls == pytest.approx((expected["woods"], expected["hills"]))
    assert len({trial.target for trial in curve}) > 1


# Runs.


@pytest.fixture(scope="module")
def negate(tiny_suite, tiny_store, tmp_path_factory):
    """Run the tiny suite with a section on negation."""

    def start(section=SECTION, *, tasks=(), recipes=("standard",), out=None):
        path = tmp_path_factory.mktemp("suite") / "tiny.toml"
        path.write_text(tiny_suite.read_text("utf-8") + section, "utf-8")
        config = RunConfig(
            suite=str(path),
            out=out or tmp_path_factory.mktemp("out"),
            methods=(MethodChoice("task_arithmetic"),),
            recipes=recipes,
            negation=True,
            tasks=tasks,
            device="cpu",
            workers=0,
            store=tiny_store,
        )
        return path, run(config).of("negation")

    return start


def test_a_record_holds_what_the_definition_gives(negate, tiny_store):
    path, (record,) = negate()
    store, experts = store_at(tiny_store), experts_of(request_of(path, "task_arithmetic"))
    vectors = store.get(experts.vectors)
    rows = dict(zip(vectors.facts["tasks"], vectors.tensors["task_vectors"], strict=True))
    encoder = tiny_provider.backbone("plain")[1]

    def bits(task, split, weights):
        part = getattr(tiny_provider.task(task), split)
        images = torch.from_numpy(part.images).permute(0, 3, 1, 2)
        head = experts.heads[task].read(store)
        classes = _plain(encoder, weights, tiny_provider.Stem()(images), head)
        return classes.numpy() == part.labels

    theta0 = vectors.tensors["pretrained"]
    for task, target, control in zip(record.tasks, TASKS, (*TASKS[1:], TASKS[0]), strict=True):
        assert [trial.alpha for trial in task.curve] == [0.0, 0.25, 0.5, 0.75, 1.0]
        for trial in task.curve:
            weights = theta0 - trial.alpha * rows[target]
            assert trial.target == pytest.approx(bits(target, "validation", weights).mean())
            (kept,) = trial.controls
            assert kept == pytest.approx(bits(control, "validation", weights).mean())
        assert task.alpha == choose(task.curve, 0.95).alpha
        weights = theta0 - task.alpha * rows[target]
        for tested, name in ((task.target, target), (task.controls[0], control)):
            assert tested.task == name
            expected = bits(name, "test", weights)
            assert (unpack_bits(tested.bits, tested.n) == expected).all()
            assert tested.low <= tested.accuracy == expected.mean() <= tested.high
            assert tested.pretrained_accuracy == bits(name, "test", theta0).mean()
    for mean, found in (
        (record.target, [task.target.accuracy for task in record.tasks]),
        (record.control, [task.controls[0].accuracy for task in record.tasks]),
    ):
        assert mean.accuracy == pytest.approx(np.mean(found))
        assert mean.low < mean.accuracy < mean.high
    before = np.mean([task.target.pretrained_accuracy for task in record.tasks])
    assert record.target.accuracy < before  # negation takes something out
    assert any(task.alpha > 0 for task in record.tasks)


def test_a_run_negates_under_every_recipe_in_play_and_writes_records(negate, tmp_path):
    _, records = negate(recipes=("standard", "post_hoc"), out=tmp_path)
    assert [record.recipe for record in records] == ["standard", "post_hoc"]
    files = {path.stem for path in (tmp_path / "negation").glob("*.json")}
    assert files == {record.record_id[:16] for record in records}
    assert records[0].tasks[0].curve != records[1].tasks[0].curve


def test_several_controls_are_all_kept_on_validation(negate):
    _, (record,) = negate(SECTION + "controls = 2\nkeep = 0.99\n")
    assert record.keep == 0.99
    for task in record.tasks:
        assert {task.target.task, *(c.task for c in task.controls)} == set(TASKS)
        before = task.curve[0].controls
        (chosen,) = (trial for trial in task.curve if trial.alpha == task.alpha)
        assert all(now >= 0.99 * b - 1e-9 for now, b in zip(chosen.controls, before, strict=True))


def test_a_control_of_several_targets_counts_once_in_the_mean(negate):
    named = 'controls = { hills = ["lakes"], lakes = ["woods"], woods = ["lakes"] }\n'
    _, (record,) = negate(SECTION + named)
    hills, lakes, woods = (task.controls[0] for task in record.tasks)
    assert [hills.task, lakes.task, woods.task] == ["lakes", "woods", "lakes"]
    expected = ((hills.accuracy + woods.accuracy) / 2 + lakes.accuracy) / 2
    assert record.control.accuracy == pytest.approx(expected)


def test_a_run_on_two_tasks_lets_them_control_each_other(negate):
    named = 'controls = { hills = ["woods"] }\n'
    _, (record,) = negate(SECTION + named, tasks=("hills", "lakes"))
    assert [task.controls[0].task for task in record.tasks] == ["lakes", "hills"]


def test_a_single_task_cannot_be_negated(negate):
    with pytest.raises(TaskmarkError, match="'hills', cannot be negated without another"):
        negate(tasks=("hills",))


def test_a_suite_without_the_section_says_so(negate):
    with pytest.raises(TaskmarkError, match=r"tiny 0\.1 has no section \[protocol\.negation\]"):
        negate("")


def test_the_command_line_prints_a_line_of_it_and_so_does_a_report(
    tiny_suite, tiny_store, tmp_path, printed
):
    path = tmp_path / "tiny.toml"
    path.write_text(tiny_suite.read_text("utf-8") + SECTION, "utf-8")
    out = tmp_path / "out"
    run_words = f"run --suite {path} --store {tiny_store} --workers 0 --device cpu --negation"
    rows = "--racing --method task_arithmetic --recipe standard"
    for words in (f"{run_words} {rows} --out {out}", f"report --out {out}"):
        assert "Negation, plain, standard: targets" in printed(words)
    (file,) = (out / "negation").glob("*.json")
    record = NegationRecord.model_validate_json(file.read_bytes())
    assert record.suite.edition == "0.1+racing"


def test_a_run_that_does_not_ask_negates_nothing(tiny_run):
    assert tiny_run().of("negation") == ()


@pytest.mark.parametrize(
    "controls",
    [
        '{ hills = ["hills"] }',
        '{ hills = ["coast"] }',
        '{ coast = ["hills"] }',
        "{ hills = [] }",
        "0",
    ],
)
def test_controls_that_cannot_be_are_refused(negate, controls):
    with pytest.raises(TaskmarkError, match="is not valid at"):
        negate(f"{SECTION}controls = {controls}\n")
