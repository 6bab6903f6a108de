"""The workflows call sessions of nox that exist, with pinned actions, few rights and no secrets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / ".github" / "workflows").glob("*"))
NOXFILE = (ROOT / "noxfile.py").read_text("utf-8")
SESSIONS = {
    *re.findall(r"^@nox\.session.*\ndef (\w+)\(", NOXFILE, re.MULTILINE),
    *re.findall(r'^@nox\.session\(name="([\w-]+)"', NOXFILE, re.MULTILINE),
}
RUN = re.compile(r'pipx run nox -s ([\w-]+)( -- [\w"$ -]+)?')
WRITES = {"comment.yml": {"pull-requests"}}


def workflow(path):
    return yaml.safe_load(path.read_text("utf-8"))


def steps(path):
    return [step for job in workflow(path)["jobs"].values() for step in job["steps"]]


files = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


def test_there_are_workflows():
    assert [path.name for path in FILES] == ["ci.yml", "comment.yml", "weekly.yml"]


@files
def test_every_line_that_runs_is_a_session_of_nox(path):
    lines = [step["run"] for step in steps(path) if "run" in step]
    assert lines
    for line in lines:
        matched = RUN.fullmatch(line)
        assert matched, line
        assert matched[1] in SESSIONS, line


def test_what_computes_is_tried_on_other_processors_every_week():
    weekly = workflow(ROOT / ".github" / "workflows" / "weekly.yml")
    assert [trigger["cron"].split()[2:] for trigger in weekly[True]["schedule"]] == [
        ["*", "*", "1"]
    ]
    lines = [step.get("run") for job in weekly["jobs"].values() for step in job["steps"]]
    assert "pipx run nox -s tests-elsewhere" in lines
    folders = re.search(r"^COMPUTING = \((.*?)^\)", NOXFILE, re.DOTALL | re.MULTILINE)[1]
    for folder in re.findall(r'"(.+)"', folders):
        assert (ROOT / folder).exists(), folder


@files
def test_every_action_is_pinned_by_its_commit(path):
    used = re.findall(r"uses: (.+)", path.read_text("utf-8"))
    assert len(used) == len([step for step in steps(path) if "uses" in step])
    for action in used:
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_an_action_is_pinned_at_one_commit_everywhere():
    used = {line for path in FILES for line in re.findall(r"uses: (.+)", path.read_text("utf-8"))}
    assert len(used) == len({line.partition("@")[0] for line in used})


@files
def test_rights_are_to_read_and_what_writes_runs_no_submitted_code(path):
    facts = workflow(path)
    writes = {scope for scope, right in facts["permissions"].items() if right == "write"}
    assert writes == WRITES.get(path.name, set())
    assert not [job for job in facts["jobs"].values() if "permissions" in job]
    triggers = set(facts[True])  # YAML reads the key `on` as a truth value
    assert "pull_request_target" not in triggers
    if writes:
        assert triggers == {"workflow_run"}
        checkouts = [s for s in steps(path) if s.get("uses", "").startswith("actions/checkout")]
        assert all("ref" not in step["with"] for step in checkouts)


@files
def test_there_are_no_secrets_and_no_credentials_are_kept(path):
    assert "secrets" not in path.read_text("utf-8").replace("no secrets", "")
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False


@files
def test_nothing_that_others_write_stands_in_a_line_that_runs(path):
    """A branch may be called anything, so that it comes by the environment."""
    assert not [step for step in steps(path) if "${{" in step.get("run", "")]
    assert all("timeout-minutes" in job for job in workflow(path)["jobs"].values())
