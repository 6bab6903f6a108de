"""The cache: listed with what uses what, verified, and pruned of what no record needs."""

from __future__ import annotations

import shutil
import sys

import pytest

from taskmark import cli
from taskmark.store import inventory
from taskmark.store.artifacts import Store
from taskmark.store.locks import ArtifactLocks

CHOICE = {"tasks": ("hills",), "recipes": ("standard",)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tmp_path_factory.mktemp("made") / "store"


@pytest.fixture
def store(made, tmp_path, tiny_run):
    """A store with the artifacts of a small run, and one that nothing was made from."""
    if not made.exists():
        tiny_run("task_arithmetic", store=made, **CHOICE)
    shutil.copytree(made, tmp_path / "store")
    store = Store(tmp_path / "store")
    store.put("experts", "f" * 64, {}, {})
    return store


@pytest.fixture
def command(monkeypatch, capsys, store):
    def call(*arguments):
        line = ["taskmark", "cache", *arguments, "--store", str(store.root)]
        monkeypatch.setattr(sys, "argv", line)
        monkeypatch.setenv("COLUMNS", "300")
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        return caught.value.code or 0, out, err

    return call


def test_a_kind_that_the_store_has_not_is_one_sentence(command):
    code, _, err = command("list", "expert")
    assert code == 2
    assert "no kind of artifact 'expert'; did you mean 'experts'?" in err


def test_records_need_all_that_they_stand_on(store):
    stored = inventory.list_entries(store)
    needed = inventory.find_needed(stored)
    kinds = {stored[name].kind for name in needed}
    assert {
        "records",
        "expert_reference",
        "task_vectors",
        "experts",
        "heads",
        "inputs",
        "inputs_test",
    } < kinds
    assert {"data", "data_test"} < kinds
    assert set(stored) - needed == {f"experts/{'f' * 64}"}


def test_what_uses_what_is_known_in_both_directions(store):
    stored = inventory.list_entries(store)
    used = inventory.find_users(stored)
    (vectors,) = (name for name in stored if name.startswith("task_vectors/"))
    (expert,) = (user for user in stored[vectors].uses if user.startswith("experts/"))
    assert used[expert] == [vectors]
    assert {user.partition("/")[0] for user in used[vectors]} == {"expert_reference", "records"}
    assert used[f"experts/{'f' * 64}"] == []


def test_verifying_names_what_is_damaged_and_sets_it_aside(store, command):
    assert command("verify")[0] == 0
    n_artifacts = len(list(store))
    (path,) = (store.folder / "task_vectors").glob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    code, out, _ = command("verify")
    assert code == 1
    assert f"The stored task_vectors {path} is damaged" in out
    assert f"{n_artifacts - 1} artifacts are whole, 1 were damaged." in out
    assert command("verify")[0] == 0  # since it is out of the way


def test_the_list_has_sizes_and_what_is_used_by_what(store, command):
    _, out, _ = command("list")
    assert f"{len(list(store))} artifacts, " in out
    (line,) = (line for line in out.splitlines() if line.strip().startswith("experts"))
    assert line.split()[1] == "2"
    assert line.split()[3:] == ["1", "task_vectors"]
    _, out, _ = command("list", "experts")
    assert "plain: tuning the standard expert of hills" in out
    assert "task_vectors/" in out
    assert "nothing" in out


def test_pruning_says_first_and_then_does_and_leaves_what_records_need(store, command, tiny_run):
    (store.folder / "experts" / "broken.json.damaged").write_text("x")
    (store.folder / "experts" / ".file.0.0.draft").write_text("x")
    (store.folder / "experts" / "half.safetensors").write_text("x")
    before = set(store)
    _, out, _ = command("prune")
    assert "4 entries" in out
    assert "would be removed; say --yes to do it" in out
    assert set(store) == before
    _, out, _ = command("prune", "--yes")
    assert "4 entries" in out
    assert before - set(store) == {("experts", "f" * 64)}
    left = {path.suffix for path in store.folder.glob("*/*") if path.is_file()}
    assert left == {".json", ".safetensors"}
    begun = []
    watcher = _watcher(begun)
    tiny_run("task_arithmetic", store=store.root, watcher=watcher, **CHOICE)
    assert begun == [0]


def _watcher(begun):
    from taskmark.engine.run import Watcher  # noqa: PLC0415

    return Watcher(begin=lambda todo, _done, _workers: begun.append(len(todo)))


def test_everything_is_pruned_only_where_asked(store, command):
    command("prune", "--yes")
    assert list(store)
    command("prune", "--yes", "--all")
    assert not list(store)


def test_nothing_is_pruned_while_a_run_is_under_way(store, command):
    before = set(store)
    with ArtifactLocks(store.root):
        assert command("prune")[0] == 0
        code, _, err = command("prune", "--yes")
        assert code == 2
        assert "is in use by a run; wait for the end" in err
    assert set(store) == before
    assert command("prune", "--yes")[0] == 0
    assert set(store) < before


def test_the_store_of_an_earlier_version_is_counted_and_pruned(store, command):
    assert "earlier version" not in command("list")[1]
    old = [store.root / "experts" / f"{'e' * 64}{end}" for end in (".json", ".safetensors")]
    mine = store.root / "experts" / "mine.txt"
    old[0].parent.mkdir()
    for path in (*old, mine):
        path.write_bytes(b"x" * 10**6)
    assert "An earlier version of taskmark left 2.0 MB there" in command("list")[1]
    _, out, _ = command("prune")
    assert "2 files of an earlier version of taskmark" in out
    assert "3 entries" in out
    assert old[0].exists()
    command("prune", "--yes")
    assert not any(path.exists() for path in old)
    assert mine.exists()
    assert "earlier version" not in command("list")[1]


def test_a_store_that_is_not_there_is_one_sentence(command, store):
    shutil.rmtree(store.root)
    for name in ("list", "verify", "prune"):
        code, _, err = command(name)
        assert code == 2
        assert "There is no store" in err


def test_what_cannot_be_read_is_left_out_of_the_list(store):
    (facts,) = (store.folder / "task_vectors").glob("*.json")
    facts.write_text("[" * 100_000)
    assert not any(name.startswith("task_vectors/") for name in inventory.list_entries(store))
