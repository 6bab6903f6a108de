"""The main job in small: two real tasks, one backbone, methods of every kind, and what is left."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from taskmark import cli
from taskmark.plugins.registry import find
from taskmark.plugins.submission import read_submission
from taskmark.records import provenance
from taskmark.records.packing import unpack_bits
from taskmark.records.record import Record
from taskmark.suite.suite_file import load

# One or two of each track and recipe; that every method ends in a row is the gate's business.
METHODS = (
    *("task_arithmetic", "ties", "emr", "tangent_fine_tuning", "post_hoc_linearisation"),
    *("adamerging", "dv_basi", "linear_probing"),
)


def taskmark(*arguments: object, store: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "taskmark", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
        env={**os.environ, "TASKMARK_STORE": str(store)},
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("smoke")
    options = [word for method in METHODS for word in ("--method", method)]
    arguments = ("run", "--suite", "smoke", "--out", folder / "out", *options)
    first = taskmark(*arguments, store=folder / "store")
    assert first.returncode == 0, first.stderr
    second = taskmark(*arguments, store=folder / "store")
    assert second.returncode == 0, second.stderr
    return folder / "out", first.stdout, second.stdout


@pytest.fixture(scope="module")
def records(finished):
    out = finished[0]
    return [Record.model_validate_json(p.read_text()) for p in (out / "records").iterdir()]


def test_every_method_and_reference_has_a_row_that_is_ok(records):
    always = {name for name, found in find().items() if found.method.role != "competitor"}
    assert {record.method.name for record in records} == {*METHODS, *always}
    assert {record.state for record in records} == {"ok"}
    assert {record.recipe for record in records} == {"standard", "tangent", "post_hoc"}


def test_every_row_holds_one_bit_per_test_image_that_adds_up(records):
    suite = load("smoke")
    for record in records:
        assert [result.task for result in record.tasks] == list(suite.tasks)
        for result in record.tasks:
            assert int(unpack_bits(result.bits, result.n).sum()) == result.n_correct
            assert result.low <= result.accuracy <= result.high


def test_experts_normalise_to_one_and_beat_the_pretrained_model(records):
    by_name = {r.method.name: r for r in records if r.recipe == "standard"}
    assert by_name["experts"].normalised_accuracy == 1.0
    assert by_name["experts"].accuracy > by_name["pretrained"].accuracy_high


def test_the_scale_search_spends_the_same_trials_on_every_method(records):
    trials = {
        len(record.curve) for record in records if find()[record.method.name].method.scale_range
    }
    assert trials == {load("smoke").protocol.trials}


def test_every_record_follows_the_published_schema_and_is_named_by_its_content(finished, records):
    schema = json.loads((finished[0] / "record.schema.json").read_text())
    for record in records:
        jsonschema.validate(json.loads(record.model_dump_json()), schema)
        assert record.with_record_id().record_id == record.record_id
        assert (finished[0] / "records" / f"{record.record_id[:16]}.json").is_file()


def test_the_tables_hold_one_line_a_record_and_task(finished, records):
    with (finished[0] / "records.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(record.tasks) for record in records)
    wanted = {"suite", "suite_version", "backbone", "recipe", "method", "track", "scale", "task"}
    wanted |= {"n", "correct", "accuracy", "normalised_accuracy", "low", "high", "state"}
    wanted |= {"expert_seed", "method_seed", "record_id"}
    assert wanted <= set(rows[0])
    with (finished[0] / "disentanglement.csv").open() as file:
        points = list(csv.DictReader(file))
    n_alphas = len(load("smoke").protocol.disentanglement.alphas)
    assert len(points) == 3 * n_alphas**2  # three recipes, one pair
    assert all(0 <= float(point["xi"]) <= 2 for point in points)


def test_the_page_stands_alone_and_names_every_method(finished, records):
    page = (finished[0] / "site" / "index.html").read_text()
    assert all(record.method.name in page for record in records)
    assert "http-equiv" in page
    assert 'src="http' not in page


def test_a_second_run_makes_nothing_again(finished):
    _, first, second = finished
    assert "jobs to do in" in first
    assert "0 jobs to do" in second


@pytest.fixture
def clone(finished, tmp_path, monkeypatch):
    """A repository to submit in; the store has the experts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TASKMARK_STORE", str(finished[0].parent / "store"))
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "A")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "a@example.org")
    subprocess.run(["git", "init", "-q"], check=True)  # noqa: S607
    return tmp_path


def test_the_walk_to_a_submission_works_as_it_is_written(clone, monkeypatch, capsys):
    """CONTRIBUTING.md is tried by doing what it says, line by line."""
    text = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text("utf-8")
    section = text.partition("## Submit a method")[2].partition("\n## ")[0]
    (walk,) = re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)
    lines = walk.strip().splitlines()
    assert [line.split()[1] for line in lines] == [
        "new",
        "check",
        "run",
        "submit",
        "add",
        "commit",
        "reproduce",
    ]
    provenance.own_commit.cache_clear()
    for line in lines:
        words = shlex.split(line)
        if words[0] == "git":
            subprocess.run(words, check=True, capture_output=True)  # noqa: S603
            continue
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", words)
            # Without git, nobody can tell that the tree of these tests has changes.
            patch.setenv("PATH", "")
            with pytest.raises(SystemExit) as caught:
                cli.main()
        assert not caught.value.code, capsys.readouterr().err
    provenance.own_commit.cache_clear()
    (folder,) = (clone / "submissions").glob("*/my_method")
    assert read_submission(folder)[0].state == "reproduced"
