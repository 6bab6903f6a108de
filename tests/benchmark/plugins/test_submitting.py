"""A submission: written from a run, read back, run again; and everything that is refused."""

from __future__ import annotations

import json

import jsonschema
import pytest

from taskmark.commands.author_commands import reproduce_command, submit_command
from taskmark.config import RunConfig
from taskmark.errors import TaskmarkError
from taskmark.plugins import submitting
from taskmark.plugins.registry import find
from taskmark.plugins.submission import Reproduction, Submission, read_submission, state_after
from taskmark.plugins.submitting import SubmittedCode, check_source, own_records, write_submissions
from taskmark.records import provenance
from taskmark.records.envelope import ExpertOrigin
from taskmark.records.record import Record
from taskmark.reports import read_records
from taskmark.suite import suite_file as suite

# One file for all tests: each start of a process for a plug-in imports torch.
SAMPLE = """
import os
from taskmark import Edit, Method

class Sample(Method):
    "A plug-in."
    name = "sample"
    def edit(self, given):
        if os.environ.get("SULKING"):
            raise ValueError("no")
        return Edit(given.task_vectors.sum(0))
"""


@pytest.fixture
def ship(monkeypatch):
    """Let a suite count as shipped."""

    def start(path):
        facts = suite.read(path)
        shipped = dict.fromkeys((facts.name, f"{facts.name}@{facts.version}"), path)
        others = suite.find_suites()
        monkeypatch.setattr(suite, "find_suites", lambda: others | shipped)
        monkeypatch.setattr(submitting, "find_suites", lambda: others | shipped)

    return start


@pytest.fixture(autouse=True)
def _shipped_and_clean(monkeypatch, ship, tiny_suite):
    """The tiny suite counts as shipped, and the tree that makes records as committed."""
    ship(tiny_suite)
    monkeypatch.setattr(provenance, "own_commit", lambda: ("c" * 40, False))


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    path = tmp_path_factory.mktemp("plugin") / "sample.py"
    path.write_text(SAMPLE, "utf-8")
    return path


@pytest.fixture(scope="module")
def other_store(tmp_path_factory):
    """A store without the row of the plug-in."""
    return tmp_path_factory.mktemp("other_store")


@pytest.fixture
def made(tiny_run, sample, tmp_path):
    """A plug-in and the folder of its run."""

    def make(**chosen):
        tiny_run("sample", plugin=sample, **chosen)
        return sample, tmp_path / "out"

    return make


def source_of(file, package=None):
    return SubmittedCode(find([file])["sample"], package)


def write(file, out, to):
    source = source_of(file)
    return write_submissions(own_records(read_records(out), source, out), source, to)


def test_a_submission_holds_the_method_its_records_and_a_claim(made, tmp_path, tiny_suite, capsys):
    file, out = made()
    submit_command(str(file), package=None, out=out, to=tmp_path / "to")
    facts = suite.read(tiny_suite)
    folder = tmp_path / "to" / f"{facts.name}-{facts.version}" / "sample"
    assert "claimed, 1 rows" in capsys.readouterr().out
    submission, records = read_submission(folder)
    assert (submission.method, submission.state) == ("sample", "claimed")
    assert (folder / "sample.py").read_bytes() == file.read_bytes()
    assert [record.method.name for record in records] == ["sample"]
    assert records[0].record_id in submission.records
    for path in (folder / "records").iterdir():
        jsonschema.validate(json.loads(path.read_text("utf-8")), Record.model_json_schema())
    shape = Submission.model_json_schema()
    jsonschema.validate(json.loads((folder / "submission.json").read_text("utf-8")), shape)


def reproduce(folder, tmp_path, **chosen):
    options = {"device": "cpu", "workers": 0, "time_limit": 300, **chosen}
    reproduce_command([folder], RunConfig(out=tmp_path / "again", **options))


def test_what_comes_out_the_same_is_reproduced(made, tmp_path, capsys):
    (folder,) = write(*made(), tmp_path / "to")
    reproduce(folder, tmp_path, store=tmp_path / "store")  # others' rows have their own commits
    assert f"{folder}: reproduced." in capsys.readouterr().out
    submission, _ = read_submission(folder)
    assert submission.state == "reproduced"
    assert submission.reproductions[0].commit == "c" * 40


def test_what_comes_out_otherwise_is_disputed_task_by_task(made, tmp_path, tiny_store, capsys):
    """The records of another method are claimed for it."""
    (folder,) = write(*made(), tmp_path / "to")
    for path in (folder / "records").iterdir():
        record = Record.model_validate_json(path.read_bytes())
        worse = [r.model_copy(update={"bits": "A" * len(r.bits)}) for r in record.tasks]
        forged = record.model_copy(update={"tasks": tuple(worse)}).with_record_id()
        path.write_text(forged.model_dump_json(), "utf-8")
    submission = json.loads((folder / "submission.json").read_text("utf-8"))
    submission["records"] = [forged.record_id]
    (folder / "submission.json").write_text(json.dumps(submission), "utf-8")
    with pytest.raises(SystemExit) as caught:
        reproduce(folder, tmp_path, store=tiny_store)
    assert caught.value.code == 1
    assert f"{folder}: disputed." in capsys.readouterr().out
    after, _ = read_submission(folder)
    assert after.state == "disputed"
    assert "hills: 0.0% claimed, " in after.reproductions[0].differences[0]


def test_a_row_that_fails_now_is_disputed(made, tmp_path, other_store, monkeypatch):
    (folder,) = write(*made(), tmp_path / "to")
    monkeypatch.setenv("SULKING", "1")
    with pytest.raises(SystemExit):
        reproduce(folder, tmp_path, store=other_store)
    differences = read_submission(folder)[0].reproductions[0].differences
    assert differences == ("plain standard sample: ValueError: no, line 10 of sample.py",)


def test_the_state_is_what_the_last_to_run_it_found():
    same = Reproduction(created_at="2026-01-01", commit=None, device="cpu", differences=())
    other = same.model_copy(update={"differences": ("a", "b")})
    assert state_after(()) == "claimed"
    assert state_after((other, same)) == "reproduced"
    assert state_after((same, other)) == "disputed"


def test_records_that_are_not_there_are_asked_for(made):
    file, out = made()
    with pytest.raises(TaskmarkError, match=r"no records of 'sample' in .*; make them with `task"):
        own_records([], source_of(file), out)


def test_a_failed_row_is_not_submitted(made, other_store, monkeypatch):
    monkeypatch.setenv("SULKING", "1")
    file, out = made(store=other_store)
    told = r"is failed \(ValueError: no, line 10 of sample.py\); mend"
    with pytest.raises(TaskmarkError, match=told):
        own_records(read_records(out), source_of(file), out)


def test_records_of_other_code_are_not_submitted(made, tmp_path):
    file, out = made()
    changed = tmp_path / file.name
    changed.write_text(file.read_text("utf-8") + "# one more line\n", "utf-8")
    with pytest.raises(TaskmarkError, match="was made by other code than"):
        own_records(read_records(out), source_of(changed), out)


def test_records_on_experts_that_were_brought_along_are_not_submitted(made):
    file, out = made()
    experts = ExpertOrigin(family="published", files={"hills": "1" * 64})
    records = [record.model_copy(update={"experts": experts}) for record in read_records(out)]
    with pytest.raises(TaskmarkError, match=r"experts of published.* without --experts"):
        own_records(records, source_of(file), out)


def test_records_of_a_tree_with_changes_are_not_submitted(made):
    file, out = made()
    (record,) = own_records(read_records(out), source_of(file), out)
    dirty = record.provenance.model_copy(update={"dirty": True})
    records = [record.model_copy(update={"provenance": dirty})]
    with pytest.raises(TaskmarkError, match="a tree of taskmark with changes that are not commit"):
        own_records(records, source_of(file), out)


def test_records_of_a_part_of_a_suite_are_not_submitted(made, tmp_path):
    file, out = made(tasks=("hills", "lakes"))
    with pytest.raises(TaskmarkError, match="not a suite that this taskmark ships; run a whole"):
        write(file, out, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_backbone_that_is_missing_is_named(made, tmp_path, monkeypatch):
    file, out = made()
    source = source_of(file)
    records = own_records(read_records(out), source, out)
    whole = suite.read(suite.find_suites()["tiny"])
    wider = whole.model_copy(update={"default_backbones": ("plain", "other")})
    monkeypatch.setattr(submitting, "read", lambda _: wider)
    with pytest.raises(TaskmarkError, match="no record of 'sample' on the backbone 'other'"):
        write_submissions(records, source, tmp_path / "to")


def test_a_submission_is_not_written_over(made, tmp_path):
    made_once = made()
    write(*made_once, tmp_path / "to")
    with pytest.raises(TaskmarkError, match="already; delete the folder to submit anew"):
        write(*made_once, tmp_path / "to")


SOURCES = {
    "a built-in method": ("built-in", None, "is built in, so its rows are made by the project"),
    "a package that is not named": ("package", None, "name the published one with --package"),
    "a package that is not pinned": ("package", "a>=1", "'a>=1' is not pinned; write name==ver"),
    "a file and a package": ("file", "a==1", "leave --package out"),
}


@pytest.mark.parametrize("case", SOURCES)
def test_code_that_nobody_could_get_at_is_refused(sample, case):
    origin, package, words = SOURCES[case]
    found = find([sample])["sample"]
    other = type(found)(found.method, origin, found.source, "a")
    with pytest.raises(TaskmarkError) as caught:
        check_source(SubmittedCode(other, package))
    assert words in str(caught.value)


@pytest.mark.parametrize("package", ["a==1", "my-package==1.2.3rc1", "a.b_c==2024.1+cpu"])
def test_a_pinned_package_is_accepted(sample, package):
    found = find([sample])["sample"]
    check_source(SubmittedCode(type(found)(found.method, "package", found.source, "a"), package))


def damage_json(folder, **changes):
    path = folder / "submission.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


DAMAGES = {
    "no file": (lambda f: (f / "submission.json").unlink(), "There is no submission in"),
    "no JSON": (lambda f: (f / "submission.json").write_text("{"), "not a valid submission (the"),
    "a field too many": (lambda f: damage_json(f, x=1), "not a valid submission (x: Extra"),
    "a state without reason": (
        lambda f: damage_json(f, state="reproduced"),
        "its reproductions make it 'claimed'",
    ),
    "neither file nor package": (lambda f: damage_json(f, file=None), "either a file or a pack"),
    "another method": (lambda f: damage_json(f, method="other"), "is of the method 'sample' on"),
    "other code": (lambda f: damage_json(f, source_sha256="0"), "was made by other code than"),
    "other records": (lambda f: damage_json(f, records=["0"]), "are not those that submission.js"),
    "no records": (
        lambda f: [path.unlink() for path in (f / "records").iterdir()],
        "are not those that submission.json names",
    ),
    "a record changed by hand": (
        lambda f: [
            path.write_text(path.read_text("utf-8").replace('"plain"', '"plane"'), "utf-8")
            for path in (f / "records").iterdir()
        ],
        "was changed after it was made",
    ),
    "a record cut short": (
        lambda f: [path.write_bytes(path.read_bytes()[:-99]) for path in (f / "records").iterdir()],
        "is not a valid record",
    ),
    "the method's file gone": (lambda f: (f / "sample.py").unlink(), "cannot be read (No such"),
    "the method's file changed": (
        lambda f: (f / "sample.py").write_text("x = 1", "utf-8"),
        "is not the one that made the records",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_submission_is_one_sentence(made, tmp_path, damage):
    (folder,) = write(*made(), tmp_path / "to")
    act, words = DAMAGES[damage]
    act(folder)
    with pytest.raises(TaskmarkError) as caught:
        read_submission(folder)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_submission_of_another_version_of_a_suite_is_not_run(made, tmp_path, tiny_suite, ship):
    (folder,) = write(*made(), tmp_path / "to")
    other = tmp_path / tiny_suite.name
    other.write_text(tiny_suite.read_text("utf-8") + "\n# another\n", "utf-8")
    ship(other)
    with pytest.raises(TaskmarkError, match=r"is of another tiny@.* than this taskmark ships"):
        reproduce(folder, tmp_path)
