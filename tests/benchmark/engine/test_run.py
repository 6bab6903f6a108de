"""Runs of the tiny suite: complete, repeatable, resumed, repaired."""

from __future__ import annotations

import pytest
import tiny_provider
from tiny_setting import REFERENCES

from taskmark.engine.run import Watcher
from taskmark.errors import TaskmarkError
from taskmark.records.packing import unpack_bits

BASELINES = ("linear_probing", *REFERENCES)


def contents(outcome) -> set[str]:
    """The records with all but times and dates."""
    return {record.with_record_id().record_id for record in outcome.records} | {
        record.with_record_id().record_id for record in outcome.of("disentanglement")
    }


def names(outcome) -> set[tuple[str, str]]:
    return {(record.method.name, record.recipe) for record in outcome.records}


class Counter:
    """A watcher that remembers what was to be done and what was."""

    def __init__(self, *, stop_after: int | None = None) -> None:
        self.todo: list[str] = []
        self.done: list[str] = []
        self._stop_after = stop_after
        self.watcher = Watcher(self._begin, self._event)

    def _begin(self, todo, _n_done, _workers) -> None:
        self.todo += [job.kind for job in todo]

    def _event(self, event) -> None:
        if event.state == "done":
            self.done.append(event.job.kind)
            if len(self.done) == self._stop_after:
                raise KeyboardInterrupt


def test_a_complete_run_has_every_row_with_all_that_it_must_hold(tiny_run, tmp_path):
    outcome = tiny_run("task_arithmetic", "ties", "tangent_fine_tuning", out=tmp_path / "out")
    assert {("task_arithmetic", "standard"), ("tangent_fine_tuning", "tangent")} < names(outcome)
    assert {(name, "standard") for name in BASELINES} < names(outcome)
    assert {(name, "tangent") for name in REFERENCES} < names(outcome)
    for record in outcome.records:
        assert record.state == "ok", record.reason
        assert [task.task for task in record.tasks] == ["hills", "lakes", "woods"]
        assert record.counted.trials == len(record.curve)
        for task in record.tasks:
            assert task.n == 90
            assert unpack_bits(task.bits, task.n).sum() == task.n_correct
            assert task.low <= task.accuracy == task.n_correct / task.n <= task.high
        assert record.accuracy_low <= record.accuracy <= record.accuracy_high
        assert record.normalised_low <= record.normalised_accuracy <= record.normalised_high
    assert {record.recipe for record in outcome.of("disentanglement")} == {"standard", "tangent"}
    written = {path.stem for path in (tmp_path / "out" / "records").glob("*.json")}
    assert written == {record.record_id[:16] for record in outcome.records}


def test_competitors_with_a_scale_get_the_same_number_of_trials(tiny_run):
    records = tiny_run("task_arithmetic", "ties").records
    trials = {r.method.name: len(r.curve) for r in records if r.method.role == "competitor"}
    assert trials == {"task_arithmetic": 5, "ties": 5}


def test_the_scale_is_the_best_of_the_curve(tiny_run):
    searched = [r for r in tiny_run("task_arithmetic", "ties").records if r.curve]
    assert {record.method.name for record in searched} == {"task_arithmetic", "ties"}
    for record in searched:
        top = max(trial.normalised_accuracy for trial in record.curve)
        chosen = [t.scale for t in record.curve if t.normalised_accuracy == top]
        assert record.scale == min(chosen, key=abs)


def test_experts_are_normalised_to_one_and_agree_with_themselves(tiny_run):
    outcome = tiny_run("task_arithmetic", "tangent_fine_tuning", "post_hoc_linearisation")
    experts = [record for record in outcome.records if record.method.name == "experts"]
    assert {record.recipe for record in experts} == {"standard", "tangent", "post_hoc"}
    for record in experts:
        assert record.normalised_accuracy == 1
        assert all(task.disagreement == 0 for task in record.tasks)


def test_a_second_run_has_nothing_to_do_and_the_same_records(tiny_run, tmp_path):
    first = tiny_run(out=tmp_path / "first")
    counter = Counter()
    second = tiny_run(out=tmp_path / "second", watcher=counter.watcher)
    assert counter.todo == []
    assert second.records == first.records
    assert second.of("disentanglement") == first.of("disentanglement")
    files = [sorted(p.name for p in (tmp_path / d).rglob("*.json")) for d in ("first", "second")]
    assert files[0] == files[1]


def test_records_made_anew_are_identical_but_for_times(tiny_run, tmp_path):
    first = tiny_run(store=tmp_path / "one", tasks=("hills",), recipes=("standard",))
    again = tiny_run(store=tmp_path / "two", tasks=("hills",), recipes=("standard",))
    assert contents(first) == contents(again)
    assert {r.record_id for r in first.records} == {r.record_id for r in again.records}


def test_worker_processes_give_the_records_that_one_process_gives(tiny_run, tmp_path):
    """The one test that starts whole workers, since each takes seconds to start."""
    choice = {"tasks": ("hills", "lakes"), "recipes": ("standard",)}
    inline = tiny_run(**choice)
    spawned = tiny_run(**choice, store=tmp_path / "store", workers=2)
    assert contents(spawned) == contents(inline)
    assert [r.method.name for r in spawned.records] == [r.method.name for r in inline.records]


def test_an_interrupted_run_goes_on_where_it_stopped(tiny_run, tmp_path):
    whole = tiny_run(tasks=("hills", "lakes"), recipes=("standard",))
    store = tmp_path / "store"
    first = Counter(stop_after=9)
    with pytest.raises(KeyboardInterrupt):
        tiny_run(
            store=store, tasks=("hills", "lakes"), recipes=("standard",), watcher=first.watcher
        )
    second = Counter()
    resumed = tiny_run(
        store=store, tasks=("hills", "lakes"), recipes=("standard",), watcher=second.watcher
    )
    assert len(second.todo) == len(first.todo) - 9
    assert contents(resumed) == contents(whole)


def test_other_hyperparameters_give_other_rows_and_leave_the_rest_as_it_was(tiny_run):
    counter = Counter()
    tiny_run("ties")
    outcome = tiny_run("ties", "ties[density=0.5]", watcher=counter.watcher)
    rows = [record for record in outcome.records if record.method.name == "ties"]
    assert {record.method.hyperparameters["density"] for record in rows} == {0.2, 0.5}
    assert len({record.record_id for record in rows}) == 2
    assert counter.todo == ["records"]


def test_a_hyperparameter_that_is_a_list_can_be_given(tiny_run):
    outcome = tiny_run("linear_probing[strengths=[0.1, 1.0]]")
    rows = [record for record in outcome.records if record.method.name == "linear_probing"]
    assert [0.1, 1.0] in [record.method.hyperparameters["strengths"] for record in rows]


def test_each_seed_has_its_own_experts_and_rows(tiny_run):
    outcome = tiny_run(seeds=(0, 1, 1), recipes=("standard",))
    rows = [record for record in outcome.records if record.method.name == "task_arithmetic"]
    assert [(r.seeds.expert, r.seeds.method) for r in rows] == [(0, 0), (1, 1)]
    norms = [r.geometry.task_vector_norms["hills"] for r in rows]
    assert norms[0] != norms[1]


def test_methods_of_the_standard_recipe_run_under_the_recipes_named(tiny_run):
    outcome = tiny_run("task_arithmetic", recipes=("standard", "post_hoc"))
    assert {r for n, r in names(outcome) if n == "task_arithmetic"} == {"standard", "post_hoc"}


def test_a_run_on_some_tasks_says_so_in_its_version(tiny_run):
    outcome = tiny_run(tasks=("lakes", "hills"), recipes=("standard",))
    for record in outcome.records:
        assert [task.task for task in record.tasks] == ["hills", "lakes"]
        assert record.suite.edition == "0.1+hills+lakes"
        assert len(record.suite.sha256) == 64
    (grid,) = outcome.of("disentanglement")
    assert [(pair.task_1, pair.task_2) for pair in grid.pairs] == [("hills", "lakes")]


def test_a_single_task_has_no_pairs_to_disentangle(tiny_run):
    outcome = tiny_run(tasks=("hills",), recipes=("standard",))
    assert outcome.of("disentanglement") == ()
    assert all(record.state == "ok" for record in outcome.records)


def test_backbones_whose_weights_changed_end_the_run_before_it_starts(tiny_run, monkeypatch):
    monkeypatch.setattr(tiny_provider, "weights_sha256", lambda _: "0" * 64)
    with pytest.raises(TaskmarkError, match="backbone 'plain' have the hash 000000000000"):
        tiny_run()


def test_data_that_changed_ends_the_run(tiny_run, tmp_path, monkeypatch):
    task = tiny_provider.task
    monkeypatch.setattr(tiny_provider, "task", lambda _: task("somewhere else"))
    with pytest.raises(TaskmarkError, match="data of the task 'hills' has the hash"):
        tiny_run(store=tmp_path / "store")
