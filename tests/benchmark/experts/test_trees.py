"""Trees of experts: folders by backbone and seed, runs on them, and what is refused."""

from __future__ import annotations

import shutil

import pytest
from tiny_setting import store_at

from taskmark.config import RunConfig
from taskmark.engine.run import run
from taskmark.errors import TaskmarkError
from taskmark.experts.expert_export import export_experts
from taskmark.experts.expert_folders import find_folders
from taskmark.experts.foreign import read_experts
from taskmark.reports import read_records
from taskmark.reports.board import boards
from taskmark.suite.suite_file import read

TASKS = ("hills", "lakes")
BACKBONES = ("plain", "worded")
SEEDS = (0, 1)


def folders(root, *paths):
    for path in paths:
        (root / path).mkdir(parents=True)
    return root


def test_a_folder_is_that_of_one_backbone_and_of_any_seed(tmp_path):
    root = folders(tmp_path, "hills", "lakes")
    assert find_folders(root, ["plain"], [3]) == {("plain", None): root}


def test_a_tree_has_a_folder_for_each_backbone_and_perhaps_each_seed(tmp_path):
    root = folders(tmp_path, "a/0", "a/1", "a/notes", "a/01", "b/hills")
    assert find_folders(root, ["a"], [1, 0, 1]) == {("a", 1): root / "a/1", ("a", 0): root / "a/0"}
    assert find_folders(root, ["a", "b"], [1]) == {("a", 1): root / "a/1", ("b", None): root / "b"}


@pytest.mark.parametrize(
    ("backbones", "seeds", "sentence"),
    [
        (("c", "d"), (0,), r"one backbone, and this run has c, d; .*'.*/c' and so on"),
        (("c",), (0, 1), "the same under every seed, and this run has 0, 1"),
        (("b",), (0, 1), r"the same under every seed.*'.*/b/0' and so on"),
        (("a", "c"), (0,), "no experts of c in .* but of a; choose these with --backbone"),
        (("a",), (0, 2, 7), "no experts of the seed 2, 7 in .*a', but of 0, 1; .* --seed"),
    ],
)
def test_a_tree_without_what_the_run_needs_is_one_sentence(tmp_path, backbones, seeds, sentence):
    root = folders(tmp_path, "a/0", "a/1", "b/hills")
    with pytest.raises(TaskmarkError, match=sentence):
        find_folders(root, backbones, seeds)


@pytest.fixture
def start(tiny_suite, tiny_store, tmp_path):
    """Run the tiny suite with two backbones and two seeds, on its own experts or on others."""

    def begin(experts=None, out="out", **choice):
        choice = {"backbones": BACKBONES, "seeds": SEEDS, "recipes": ("standard",), **choice}
        return run(
            RunConfig(
                suite=str(tiny_suite),
                out=tmp_path / out,
                methods=("ties",),
                experts=experts,
                accept_experts="a test of three epochs",
                **choice,
                tasks=TASKS,
                device="cpu",
                workers=0,
                store=tiny_store,
            )
        )

    return begin


@pytest.fixture
def run_(tiny_suite, tiny_store):
    return read(tiny_suite).only(TASKS), store_at(tiny_store)


@pytest.fixture
def tree(start, run_, tmp_path):
    """What a run on two backbones and two seeds has tuned."""
    start(out="own")
    root = tmp_path / "tree"
    written = export_experts(
        *run_, root, backbones=BACKBONES, recipe="standard", seeds=SEEDS, named="tiny"
    )
    assert [str(path.relative_to(root)) for path in written] == [
        f"{backbone}/{seed}/{task}.safetensors"
        for backbone in BACKBONES
        for seed in SEEDS
        for task in TASKS
    ]
    return root


def figures(outcome):
    """What each row found, by backbone and seeds; and each grid."""
    rows = {
        (r.backbone, r.method.name, r.seeds.expert, r.seeds.method): (r.tasks, r.scale, r.geometry)
        for r in outcome.records
    }
    grids = {(r.backbone, r.expert_seed): r.pairs for r in outcome.of("disentanglement")}
    return rows, grids


def test_one_run_on_a_tree_leaves_what_its_own_experts_left(start, tree, tmp_path):
    own = start(out="own")
    again = start(tree)
    assert len(again.records) == len(own.records) == len(BACKBONES) * len(SEEDS) * 5
    assert figures(again) == figures(own)
    (family,) = {record.experts.family for record in (*again.records, *again.of("disentanglement"))}
    files = {(r.backbone, r.seeds.expert): r.experts.files["hills"] for r in again.records}
    assert len(set(files.values())) == len(BACKBONES) * len(SEEDS)
    found = boards(read_records(tmp_path / "out"))
    assert {(board.backbone, board.family, board.seeds) for board in found} == {
        (backbone, family, SEEDS) for backbone in BACKBONES
    }
    assert {row.state for board in found for row in board.rows} == {"ok"}


def test_a_part_of_a_tree_stands_for_itself(start, tree):
    whole, part = start(tree), start(tree, out="part", backbones=("worded",), seeds=(1,))
    rows, grids = figures(whole)
    assert figures(part) == (
        {place: row for place, row in rows.items() if place[0] == "worded" and place[2] == 1},
        {place: grid for place, grid in grids.items() if place == ("worded", 1)},
    )
    # The label says the seed where no folder does.
    leaf = start(tree / "worded" / "1", out="leaf", backbones=("worded",), seeds=(1,))
    assert figures(leaf) == figures(part)


def test_one_label_above_all_folders_will_do(tree):
    for label in tree.rglob("experts.toml"):
        label.unlink()
    choice = {"backbones": BACKBONES, "seeds": SEEDS}
    unnamed = read_experts(tree, TASKS, **choice)
    assert unnamed.family.startswith("unnamed-")
    (tree / "experts.toml").write_text('family = "ours"\nsource = "us"', "utf-8")
    (tree / "plain" / "experts.toml").write_text('family = "ours"\nsource = "others"', "utf-8")
    found = read_experts(tree, TASKS, **choice)
    assert found.family == "ours"
    sources = {place: found.facts(*place).source for place in found.folders}
    assert sources == {
        ("plain", 0): "others",
        ("plain", 1): "others",
        ("worded", 0): "us",
        ("worded", 1): "us",
    }


def _say(what):
    def change(tree):
        (tree / "worded" / "1" / "experts.toml").write_text(what, "utf-8")

    return change


def _copy(tree):
    files = [tree / "worded" / str(seed) / "hills.safetensors" for seed in SEEDS]
    shutil.copyfile(*files)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_say('family = "other"'), r"not of one family: .* and other of '.*/worded/1'"),
        (_say(""), r"not of one family: .* and nothing of '.*/worded/1'; .* --backbone and --seed"),
        (_say("seed = 3"), r"worded/1' is called by the seed 1, but experts\.toml says 3"),
        (_say("seed = -1"), r"experts\.toml.*'seed'"),
        (_copy, r"'hills' in '.*/0' and of 'hills' in '.*/1' are the same; bring each seed's own"),
    ],
)
def test_what_does_not_go_together_is_refused(tree, change, sentence):
    change(tree)
    with pytest.raises(TaskmarkError, match=sentence):
        read_experts(tree, TASKS, backbones=BACKBONES, seeds=SEEDS)


def test_experts_of_two_recipes_are_not_for_one_run(tree):
    path = tree / "worded" / "1" / "experts.toml"
    path.write_text(path.read_text("utf-8").replace("standard", "tangent"), "utf-8")
    with pytest.raises(TaskmarkError, match=r"not of one recipe: .*standard of .*tangent of"):
        read_experts(tree, TASKS, backbones=BACKBONES, seeds=SEEDS)


def test_an_export_writes_over_its_own_family_alone(run_, tree):
    choice = {"backbones": ["worded"], "recipe": "standard", "seeds": [1]}
    suite, store = run_
    assert len(export_experts(suite, store, tree, **choice)) == len(TASKS)
    other = suite.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(
        TaskmarkError, match=r"worded/1' holds experts of the family tiny-.*another"
    ):
        export_experts(other, store, tree, **choice)
