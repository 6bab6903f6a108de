"""The plan: which rows a selection means, and jobs whose keys are known beforehand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from tiny_setting import request_of, store_at

from taskmark import Method
from taskmark.engine.plan import chosen_rows, plan, record_stages
from taskmark.engine.stage import Stage, outside_key
from taskmark.errors import TaskmarkError
from taskmark.plugins.method_choice import MethodChoice, core_methods
from taskmark.plugins.registry import Found, find
from taskmark.stages.row import MeasureRow
from taskmark.suite.suite_file import read

REFERENCES = {"experts", "pretrained", "weight_averaging"}


def _rows(methods=(), recipes=()):
    rows = chosen_rows(find(), methods=list(map(MethodChoice, methods)), recipes=recipes)
    assert len(rows) == len(set(rows))
    return {(choice.name, recipe.name) for choice, recipe in rows}


def test_all_methods_run_under_their_own_recipe_where_nothing_is_chosen():
    rows = _rows()
    for name, found in find().items():
        if found.method.role != "reference":
            assert {recipe for method, recipe in rows if method == name} == {found.method.recipe}


@pytest.mark.parametrize(
    ("methods", "recipes", "expected"),
    [
        (["ties"], (), {("ties", "standard")}),
        (["tangent_fine_tuning"], (), {("tangent_fine_tuning", "tangent")}),
        (["ties"], ("tangent", "post_hoc"), {("ties", "tangent"), ("ties", "post_hoc")}),
        (["ties", "tangent_fine_tuning"], ("standard",), {("ties", "standard")}),
    ],
)
def test_a_selection_means_its_rows_and_the_references_of_its_recipes(methods, recipes, expected):
    rows = _rows(methods, recipes)
    assert {row for row in rows if row[0] in methods} == expected
    baselines = {row for row in rows if row[0] not in {*methods, *REFERENCES}}
    assert {name for name, _ in baselines} == {"linear_probing"}
    in_play = {recipe for _, recipe in expected | baselines}
    assert {row for row in rows if row[0] in REFERENCES} == {
        *((name, recipe) for name in REFERENCES for recipe in in_play),
        ("experts", "standard"),  # which normalise all rows
    }


def test_core_is_the_named_methods_their_controls_and_what_is_always_run():
    names = {name for name, _ in _rows(["core"])}
    assert names == {*core_methods(), *REFERENCES}
    assert len(core_methods()) == 11
    assert core_methods() < set(find())


@pytest.mark.parametrize("track", ["weights", "unlabelled", "labelled"])
def test_a_track_is_a_group(track):
    found = find()
    chosen = {name for name, _ in _rows([track]) if found[name].method.role == "competitor"}
    assert chosen == {
        name
        for name, own in found.items()
        if own.method.track == track and own.method.role == "competitor"
    }


def test_all_is_what_runs_where_nothing_is_chosen_and_groups_add_to_names():
    assert _rows(["all"]) == _rows()
    assert _rows(["core", "wudi"]) - _rows(["core"]) == {("wudi", "standard")}
    assert _rows(["core", "ties"]) == _rows(["core"])


def test_a_group_leaves_out_what_cannot_merge_so_many_tasks_where_a_name_is_refused():
    chosen = chosen_rows(find(), methods=[MethodChoice("weights")], recipes=(), n_tasks=8)
    assert "hierarchical_ot" not in {choice.name for choice, _ in chosen}
    with pytest.raises(TaskmarkError, match="merges 2 tasks"):
        chosen_rows(find(), methods=[MethodChoice("hierarchical_ot")], recipes=(), n_tasks=8)


def test_a_misspelt_group_is_answered_with_the_one_that_was_meant():
    with pytest.raises(TaskmarkError, match="core"):
        _rows(["cora"])
    with pytest.raises(TaskmarkError, match="group of methods and takes no fields"):
        MethodChoice.parse("core[density=0.1]")


def test_core_rows_of_one_backbone_come_first_and_the_standard_experts_before_others(tiny_suite):
    asked = request_of(tiny_suite, "core", "wudi", backbones=("plain", "worded"))
    rows = [
        (experts.backbone, experts.recipe, choice.name, choice.name == "wudi")
        for experts, choice, _ in asked.rows()
    ]
    groups = [(late, backbone) for backbone, _, _, late in rows]
    order = [(False, "plain"), (False, "worded"), (True, "plain"), (True, "worded")]
    assert list(dict.fromkeys(groups)) == order
    recipes = [recipe for backbone, recipe, _, late in rows if backbone == "plain" and not late]
    assert list(dict.fromkeys(recipes)) == ["standard", "post_hoc", "tangent"]
    assert recipes == sorted(recipes, key=["standard", "post_hoc", "tangent"].index)
    assert {name for _, _, name, _ in rows[:3]} == REFERENCES


@pytest.fixture
def request_(tiny_suite):
    return request_of(tiny_suite, "ties", recipes=("standard",))


def _keys(request, device="cpu"):
    store = store_at(Path(), device)
    return {stage.label: store.key(stage) for stage in plan(request)}


def test_every_stage_comes_after_what_it_needs_and_is_there_once(tiny_suite):
    stages = plan(request_of(tiny_suite, backbones=("plain", "worded"), seeds=(0, 1)))
    seen = set()
    for stage in stages:
        assert {need.identity for need in stage.needs} <= seen
        seen.add(stage.identity)
    assert len(seen) == len(stages)


def test_the_keys_of_a_plan_are_the_same_each_time(request_):
    assert _keys(request_) == _keys(request_)


def test_a_seed_changes_experts_and_what_follows_but_neither_data_nor_heads(request_):
    one, other = _keys(request_), _keys(dataclasses.replace(request_, seeds=(1,)))
    same = {label for label in one if one[label] == other[label]}
    assert same == {
        label for label in one if "the data of" in label or "stem" in label or "head of" in label
    }


def _with_tuning(request, **changes):
    protocol = request.suite.protocol
    tuning = protocol.standard.model_copy(update=changes)
    suite = request.suite.model_copy(
        update={"protocol": protocol.model_copy(update={"standard": tuning}), "sha256": "other"}
    )
    return dataclasses.replace(request, suite=suite)


def test_how_experts_are_tuned_changes_experts_and_what_follows(request_):
    one, other = _keys(request_), _keys(_with_tuning(request_, learning_rate=0.5))
    changed = {label for label in one if one[label] != other[label]}
    assert "plain: tuning the standard expert of hills" in changed
    assert "plain, standard: ties" in changed
    assert not {label for label in changed if "the data of" in label or "head of" in label}


@pytest.fixture
def variant(request_, tiny_suite, tmp_path):
    """The request for a suite that extends the tiny one, and runs the same backbone."""

    def change(body: str):
        path = tmp_path / "variant.toml"
        path.write_text(
            f'extends = "{tiny_suite}"\nname = "variant"\nversion = "1.0"\nsummary = ""\n{body}',
            "utf-8",
        )
        return dataclasses.replace(request_, suite=read(path))

    return change


def _changed(one, other):
    return {label for label in one if one[label] != other[label]}


def test_a_variant_shares_all_but_its_records_with_its_base(request_, variant):
    one, other = _keys(request_), _keys(variant(""))
    names = {*find(), "weight disentanglement"}
    assert _changed(one, other) == {label for label in one if label.rpartition(": ")[2] in names}


def test_a_factor_of_epochs_makes_one_expert_anew(request_, variant):
    one, other = _keys(request_), _keys(variant("[tasks.lakes]\nepochs_factor = 10\n"))
    tuned = {label for label in _changed(one, other) if "tuning" in label}
    assert tuned == {"plain: tuning the standard expert of lakes"}
    early = {
        label for label in one if "the data of" in label or "stem" in label or "head of" in label
    }
    assert not early & _changed(one, other)


def test_label_smoothing_makes_all_experts_anew_but_neither_data_nor_heads(request_, variant):
    one, other = _keys(request_), _keys(variant("[protocol.standard]\nlabel_smoothing = 0.1\n"))
    early = {
        label for label in one if "the data of" in label or "stem" in label or "head of" in label
    }
    assert set(one) - _changed(one, other) == early


def test_a_variant_with_fewer_tasks_takes_the_experts_of_its_base(request_, variant):
    one, other = _keys(request_), _keys(variant('only = ["hills", "woods"]\n'))
    shared = {label for label in other if one.get(label) == other[label]}
    assert {label for label in other if label.endswith(("hills", "woods"))} == shared


def test_the_order_of_tasks_changes_the_task_vectors_but_no_expert(request_):
    tasks = dict(reversed(request_.suite.tasks.items()))
    suite = request_.suite.model_copy(update={"tasks": tasks})
    one, other = _keys(request_), _keys(dataclasses.replace(request_, suite=suite))
    changed = _changed(one, other)
    assert "plain: laying out the task vectors" in changed
    assert not {label for label in changed if "tuning" in label or "head of" in label}


def test_a_batch_size_changes_what_the_stem_makes(request_):
    protocol = request_.suite.protocol.model_copy(update={"batch_size": 32})
    suite = request_.suite.model_copy(update={"protocol": protocol})
    one, other = _keys(request_), _keys(dataclasses.replace(request_, suite=suite))
    assert {label for label in one if "the data of" in label} == set(one) - _changed(one, other)


def test_a_device_changes_every_key(request_):
    one, other = _keys(request_), _keys(request_, "cuda")
    assert not {label for label in one if one[label] == other[label]}


def test_the_suites_own_hyperparameters_hold_unless_the_user_says_otherwise(tiny_suite):
    suite = read(tiny_suite).model_copy(update={"hyperparameters": {"ties": {"density": 0.7}}})
    for text, density in (("ties", 0.7), ("ties[density=0.4]", 0.4)):
        request = dataclasses.replace(request_of(tiny_suite, text), suite=suite)
        stages = [stage for stage in plan(request) if isinstance(stage, MeasureRow)]
        (row,) = [stage for stage in stages if stage.method.name == "ties"]
        assert dict(row.method.hyperparameters) == {"density": density}


class Couple(Method):
    """Add up two task vectors."""

    name = "couple"
    n_tasks = (2, 2)


def _with_couple(n_tasks, *methods):
    found = {**find(), "couple": Found(Couple, "file", Path(__file__))}
    choices = list(map(MethodChoice, methods))
    rows = chosen_rows(found, methods=choices, recipes=(), n_tasks=n_tasks)
    return {choice.name for choice, _ in rows}


def test_a_method_is_left_out_where_it_cannot_merge_that_many_tasks():
    assert "couple" in _with_couple(2)
    for n_tasks in (1, 3):
        assert _with_couple(n_tasks) == _with_couple(2) - {"couple", *_only(2, n_tasks)}


def _only(here, there):
    return {name for name, m in find().items() if m.method.takes(here) > m.method.takes(there)}


def test_a_method_that_is_named_must_be_able_to_merge_that_many_tasks():
    assert "couple" in _with_couple(2, "couple")
    words = "'couple' merges 2 tasks, but this run has 8; choose as many with --task, or another"
    with pytest.raises(TaskmarkError, match=words):
        _with_couple(8, "couple")


@pytest.mark.parametrize(
    ("methods", "recipes", "words"),
    [
        (("tis",), (), "no method 'tis'; did you mean 'ties'"),
        ((), ("standart",), "no recipe 'standart'; did you mean 'standard'"),
        (("ties[density=3]",), (), "does not take density = 3"),
    ],
)
def test_an_unknown_name_ends_the_plan(tiny_suite, methods, recipes, words):
    with pytest.raises(TaskmarkError, match=words):
        plan(request_of(tiny_suite, *methods, recipes=recipes))


def test_a_field_with_its_default_is_no_part_of_the_identity():
    @dataclasses.dataclass(frozen=True)
    class Before(Stage):
        name = "sample"
        version = 1
        seed: int
        label = "sample"

        def make(self, store):
            del store

    @dataclasses.dataclass(frozen=True)
    class After(Before):
        smoothing: float = 0.0
        words: str = outside_key("")

    assert After(3).identity == After(3, 0.0, "other").identity == Before(3).identity
    assert After(3, 0.1).identity != Before(3).identity


def test_stages_that_make_records_are_found_in_their_folder():
    names = [stage.name for stage in record_stages()]
    assert names == ["records", "records", "disentanglement", "localisation", "negation"]
