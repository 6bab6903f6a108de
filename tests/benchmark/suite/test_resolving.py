"""Suites that are not frozen: what is found is taken, said, compared with, and recorded."""

from __future__ import annotations

import re

import pytest
import tiny_provider

from taskmark.config import RunConfig
from taskmark.engine.run import Watcher, run
from taskmark.errors import TaskmarkError
from taskmark.records.catalogue import read_catalogue
from taskmark.stages.task_inputs import fingerprint
from taskmark.suite.suite_file import UNRESOLVED, load, read
from taskmark.suite.unfrozen_suites import find_hashes, prepare_suite, resolve_suite, sentence


@pytest.fixture
def draft(tiny_suite, tmp_path):
    """The tiny suite with no hash of a task nor of weights."""
    text = re.sub(r'sha256 = "\w+"', f'sha256 = "{UNRESOLVED}"', tiny_suite.read_text("utf-8"))
    path = tmp_path / "draft-0.1.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_suite_is_frozen_once_all_of_its_hashes_are_there(tiny_suite, draft):
    assert read(tiny_suite).frozen
    assert not read(draft).frozen
    text = tiny_suite.read_text("utf-8")
    one_open = text.replace(tiny_provider.weights_sha256("worded"), UNRESOLVED)
    draft.write_text(one_open, "utf-8")
    assert not read(draft).frozen


def test_what_is_found_takes_the_place_of_what_is_not_fixed(draft, tiny_suite):
    suite, found = prepare_suite(read(draft), backbones=("plain",), negation=False)
    frozen = read(tiny_suite)
    assert {name: task.sha256 for name, task in suite.tasks.items()} == {
        name: task.sha256 for name, task in frozen.tasks.items()
    }
    assert suite.backbones["plain"].sha256 == tiny_provider.weights_sha256("plain")
    assert suite.backbones["worded"].sha256 == UNRESOLVED  # not part of the run
    hills = fingerprint(tiny_provider.task("hills"))
    assert found["tasks.hills"] == hills
    assert set(found) == {"tasks.hills", "tasks.lakes", "tasks.woods", "backbones.plain"}


def test_a_frozen_suite_stays_as_it_is(tiny_suite):
    suite = read(tiny_suite)
    assert prepare_suite(suite, backbones=(), negation=True) == (suite, {})


def test_other_hashes_make_another_version_and_the_same_ones_the_same(draft):
    suite = read(draft)
    found = find_hashes(suite, tiny_provider, ("plain",), tuple(suite.tasks))
    here, again = resolve_suite(suite, found), resolve_suite(suite, dict(reversed(found.items())))
    elsewhere = resolve_suite(suite, {**found, "tasks.hills": "0" * 64})
    assert re.fullmatch(r"0\.1\+unresolved\.[0-9a-f]{8}", here.facts.edition)
    assert (here.facts.edition, here.sha256) == (again.facts.edition, again.sha256)
    assert here.facts.edition != elsewhere.facts.edition
    assert len({suite.sha256, here.sha256, elsewhere.sha256}) == 3
    assert here.facts.edition in sentence(here, found)
    assert "hills, lakes, woods, plain" in sentence(here, found)


def test_what_a_run_looks_at_besides_leaves_the_version_as_it_is(draft):
    controlled = draft.with_name("controlled-0.1.toml")
    controlled.write_text(
        draft.read_text("utf-8") + '\n[controls.hills2]\nsha256 = "unresolved"\n', "utf-8"
    )
    suite = read(controlled)
    chosen = [
        prepare_suite(suite, backbones=names, negation=negation)
        for names in (("plain",), ("plain", "worded"), ("worded",))
        for negation in (False, True)
    ]
    assert len({found.facts.edition for found, _ in chosen}) == 1
    assert len({found.sha256 for found, _ in chosen}) == 1
    assert set(chosen[3][1]) - set(chosen[0][1]) == {"backbones.worded", "tasks.hills2"}


def test_a_suite_that_leaves_one_backbone_open_has_one_version(draft, tiny_suite):
    text = tiny_suite.read_text("utf-8")
    draft.write_text(text.replace(tiny_provider.weights_sha256("worded"), UNRESOLVED), "utf-8")
    suites = [
        prepare_suite(read(draft), backbones=names, negation=False)[0]
        for names in (("plain",), ("plain", "worded"))
    ]
    assert len({(suite.facts.edition, suite.sha256) for suite in suites}) == 1
    assert suites[0].facts.edition != "0.1"
    assert "(of what this run leaves out: no hash is fixed)" in sentence(suites[0], {})


def test_rows_of_one_backbone_are_not_made_again_beside_another(draft, tmp_path):
    def start(*names):
        events = []
        config = RunConfig(
            suite=str(draft),
            out=tmp_path / "out",
            backbones=names,
            methods=("task_arithmetic",),
            recipes=("standard",),
            workers=0,
            store=tmp_path / "store",
        )
        watcher = Watcher(event=lambda event: events.append(event.job))
        return run(config, watcher).records, events

    alone, _ = start("plain")
    both, made = start("plain", "worded")
    assert {record.record_id for record in alone} < {record.record_id for record in both}
    rows = {job.stage.experts.backbone for job in made if job.kind == "records"}
    assert rows == {"worded"}
    start("plain")  # of which the other backbone's hash is not forgotten
    (entry,) = read_catalogue(tmp_path / "out").suites.values()
    assert entry.backbones["worded"].sha256 == tiny_provider.weights_sha256("worded")


def test_weights_that_are_not_there_are_no_hash(draft, monkeypatch):
    monkeypatch.setattr(tiny_provider, "weights_sha256", lambda _weights: "")
    with pytest.raises(TaskmarkError, match="weights 'plain' of the backbone 'plain' are not on"):
        prepare_suite(read(draft), backbones=(), negation=False)


def test_all_that_is_missing_is_said_before_anything_is_made(draft, monkeypatch, tmp_path):
    asked = []

    def missing(tasks, weights):
        asked.append((tuple(tasks), tuple(weights)))
        return "hills and plain are not here (get them with `fetch`)"

    monkeypatch.setattr(tiny_provider, "missing", missing, raising=False)
    folders = {"out": tmp_path / "out", "store": tmp_path / "store"}
    config = RunConfig(suite=str(draft), workers=0, **folders)
    with pytest.raises(TaskmarkError) as caught:
        run(config)
    told = "The suite tiny@0.1 cannot run here yet: hills and plain are not here (get them with"
    assert str(caught.value).startswith(told)
    assert asked == [(("hills", "lakes", "woods"), ("plain",))]
    assert not (tmp_path / "store").exists()
    suite = read(draft)
    assert prepare_suite(suite, backbones=(), negation=False, whole=False) == (suite, {})


def test_a_run_says_so_once_and_its_records_hold_the_hashes(draft, tmp_path):
    said = []
    folders = {"out": tmp_path / "out", "store": tmp_path / "s"}
    methods = ("task_arithmetic",)
    config = RunConfig(suite=str(draft), methods=methods, workers=0, **folders)
    outcome = run(config, Watcher(say=said.append))
    suite, found = prepare_suite(read(draft), backbones=(), negation=False)
    assert said == [sentence(suite, found)]
    for record in (*outcome.records, *outcome.of("disentanglement")):
        assert record.suite == suite.facts
        assert record.provenance.resolved == found


def test_data_that_changes_during_a_run_is_still_refused(draft, tmp_path, monkeypatch):
    make, calls = tiny_provider.task, []

    def changing(name):
        calls.append(name)
        return make(name if len(calls) <= 3 else f"other {name}")

    monkeypatch.setattr(tiny_provider, "task", changing)
    config = RunConfig(suite=str(draft), out=tmp_path / "out", workers=0, store=tmp_path / "store")
    with pytest.raises(TaskmarkError, match="The data of the task 'hills' has the hash"):
        run(config)


def test_shipped_suites_with_open_hashes_say_so_in_the_list(capsys):
    from taskmark.commands.listing import list_command  # noqa: PLC0415 - prints

    list_command("suites", "smoke", ())
    lines = capsys.readouterr().out.splitlines()
    marked = {line.split()[0] for line in lines if "[not frozen" in line}
    assert "clip-20@1.0" in marked
    assert not load("mini@1.0").variant.parts
    assert "mini@1.0" not in marked
