"""`taskmark data`: what a user types, and what is printed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from dataset_fixtures import REVISION, fill, make
from loopback_hub import Hub, cut, serve
from typer.testing import CliRunner

from taskmark.cli import app
from taskmark.commands.suite_downloads import data_sets
from taskmark.errors import TaskmarkError
from taskmark.suite.suite_file import load
from taskmark.suites.real.data import tasks
from taskmark.suites.real.data.data_lock import LockedDataSet, read_lock, write_lock
from taskmark.suites.real.data.public_data_sets import definition
from taskmark.suites.real.data.tasks import Place

TASK = "mnist"


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Runs `taskmark data ...` where the hub's cache holds one data set and there is no network."""
    fill(tmp_path / "hub", definition(TASK).repository, make(definition(TASK)).files)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TASKMARK_DATA", str(tmp_path / "arrays"))
    monkeypatch.setenv("TASKMARK_DATA_LOCK", str(tmp_path / "lock.toml"))
    monkeypatch.setenv("COLUMNS", "160")
    write_lock({}, tmp_path / "lock.toml")

    def call(*words, code=0):
        done = CliRunner().invoke(app, ["data", *words])
        if isinstance(done.exception, TaskmarkError):
            raise done.exception
        assert done.exit_code == code, done.output
        return done.output

    return call


def folder():
    return Place().of(TASK, REVISION)


def line_of(text):
    lines = (line.strip() for line in text.splitlines())
    return next(line for line in lines if line.startswith(f"{TASK} "))


def test_from_unresolved_to_frozen(data):
    assert "unresolved" in line_of(data("list"))
    assert "locked at 0123456789ab" in data("lock", TASK, "--revision", REVISION, "--workers", "0")
    assert read_lock(Place().lock)[TASK].missing == ()
    assert line_of(data("list")).endswith("here (0123456)")
    assert "38 images of 28 px are here" in data("fetch", TASK)


def test_what_is_locked_by_its_commit_alone_is_fetched_but_not_frozen(data):
    write_lock({TASK: LockedDataSet(revision=REVISION)}, Place().lock)
    assert line_of(data("list")).endswith("missing, not frozen (0123456)")
    data("fetch", "--workers", "0")
    assert line_of(data("list")).endswith("here, not frozen (0123456)")
    assert "not frozen, its lock lacks files, rows, validation, pixels" in data("verify")


def test_verify_lists_duplicates_and_finds_damage(data):
    write_lock({TASK: LockedDataSet(revision=REVISION)}, Place().lock)
    data("fetch", TASK, "--workers", "0")
    assert f"{TASK}: whole; 0 of 8 test images nearly stand in train or validation." in data(
        "verify", TASK
    )
    test = np.lib.format.open_memmap(folder() / "test.npy", mode="r+")
    train = np.lib.format.open_memmap(folder() / "train.npy", mode="r")
    test[5] = train[11]
    test.flush()
    said = data("verify", TASK, code=1)
    told = "1 of 8 test images (12.5%) nearly stand in train or validation"
    where = folder() / "duplicates.json"
    assert f"`taskmark data fetch {TASK}`); {told} (test 5 ~ train 11; all in {where})." in said
    assert f"{TASK}: the split test is damaged (remove {folder()}" in said
    told = json.loads((folder() / "duplicates.json").read_text())
    assert told == {"removed": [], "train": [[5, 11]], "validation": []}


def test_verify_goes_on_where_it_may_not_write(data):
    write_lock({TASK: LockedDataSet(revision=REVISION)}, Place().lock)
    data("fetch", TASK, "--workers", "0")
    (folder() / "duplicates.json").unlink()
    (folder() / "duplicates.json").mkdir()  # cannot be written, not even by root
    train = np.lib.format.open_memmap(folder() / "train.npy", mode="r")
    test = np.lib.format.open_memmap(folder() / "test.npy", mode="r+")
    test[:] = train[:8]
    test.flush()
    said = data("verify", TASK, code=1)
    assert f"{TASK}: the list of duplicates was not written to {folder()}" in said
    assert "(Is a directory)." in said
    assert "8 of 8 test images (100.0%) nearly stand in train or validation (" in said
    assert ", ...)." in said


def test_verify_says_where_nothing_is_here(data):
    write_lock({TASK: LockedDataSet(revision=REVISION)}, Place().lock)
    assert f"Nothing is decoded in {Place().arrays} yet; get it with" in data("verify")


def test_what_a_suite_needs_is_named_by_the_suite(data):
    write_lock({TASK: LockedDataSet(revision=REVISION)}, Place().lock)
    with pytest.raises(TaskmarkError, match=r"'cars', 'dtd', .* are unresolved: .* lock cars dtd "):
        data("fetch", TASK, "--suite", "clip-8")
    needed = data_sets("clip-8-imagenet-control", [TASK])
    assert needed == [TASK, *(task for task in load("clip-8").tasks if task != TASK), "imagenet"]
    with pytest.raises(TaskmarkError, match="mini brings its own data and weights"):
        data("lock", "--suite", "mini")
    with pytest.raises(TaskmarkError, match="did you mean 'clip-8'"):
        data("verify", "--suite", "clip-88")


def test_copies_of_test_images_are_taken_out_of_train_and_counted(data, tmp_path):
    content = make(definition(TASK)).files
    test, train = ([path for path in content if split in path] for split in ("test", "train"))
    content[test[0]] = content[train[0]]  # one of two tables
    fill(tmp_path / "hub", definition(TASK).repository, content, revision="f" * 40)
    write_lock({TASK: LockedDataSet(revision="f" * 40)}, Place().lock)
    said = data("fetch", TASK, "--workers", "0")
    told = "15 copies of test images were taken out of train; 0 of 19 test images nearly stand"
    assert f"{TASK}: {told} in train or validation; `taskmark data verify {TASK}` lists" in said
    assert f"{TASK}: 34 images of" in said  # 15 of 30 of train and validation, 19 of test
    found = tasks.load(TASK)
    assert found.note == f"{TASK}: {told} in train or validation."
    seen = {image.tobytes() for image in np.asarray(found.test.images)}
    kept = [*np.asarray(found.train.images), *np.asarray(found.validation.images)]
    assert len(kept) == len(found.train.labels) + len(found.validation.labels) == 15
    assert not seen & {image.tobytes() for image in kept}
    where = Place().of(TASK, "f" * 40)
    listed = json.loads((where / "duplicates.json").read_text())
    assert sorted(row for _, row in listed["removed"]) == list(range(15))
    (where / "duplicates.json").write_text("{}")
    with pytest.raises(TaskmarkError, match="missing or damaged; write it anew with `taskmark"):
        tasks.load(TASK)
    said = data("verify", TASK)
    assert f"{TASK}: whole; {told} in train or validation (test " in said
    assert "= official train 4 (taken out), ...; all in " in said
    assert json.loads((where / "duplicates.json").read_text()) == listed


def test_a_test_split_that_is_train_stops_the_decoding(data, tmp_path):
    content = make(definition(TASK)).files
    for path in [path for path in content if "test" in path]:
        content[path] = content[path.replace("test", "train")]
    fill(tmp_path / "hub", definition(TASK).repository, content, revision="f" * 40)
    write_lock({TASK: LockedDataSet(revision="f" * 40)}, Place().lock)
    with pytest.raises(TaskmarkError, match="in the split train stand in test too; its files name"):
        data("fetch", TASK, "--workers", "0")


def test_a_lock_file_that_cannot_be_used_is_told_before_anything_is_fetched(data):
    Place().lock.write_text("[mnist]\nrevision = 3\n")
    with pytest.raises(TaskmarkError, match=r"cannot be used .*remove it and write it anew with"):
        data("lock", TASK, "--revision", REVISION)
    assert not Place().arrays.exists()
    Place().lock.unlink()
    with pytest.raises(TaskmarkError, match=r"There is no lock file .*write it with `taskmark dat"):
        data("list")


def test_the_workers_of_data_are_processes_that_decode(data):
    for command in ("fetch", "lock"):
        said = " ".join(data(command, "--help").split())
        assert "Processes that decode" in said
        assert "GPU" not in said


def test_what_cannot_be_done_is_said(data):
    with pytest.raises(TaskmarkError, match="No data set is resolved yet"):
        data("fetch")
    with pytest.raises(TaskmarkError, match="'mnist' is unresolved"):
        data("fetch", TASK)
    with pytest.raises(TaskmarkError, match="did you mean 'mnist'"):
        data("verify", "mnits")
    with pytest.raises(TaskmarkError, match="name one data set with it"):
        data("lock", "--revision", REVISION)
    with pytest.raises(TaskmarkError, match="HF_HUB_OFFLINE shuts the network"):
        data("lock", TASK)
    write_lock({TASK: LockedDataSet(revision="f" * 40)}, Place().lock)
    with pytest.raises(TaskmarkError, match="get it with `taskmark data fetch mnist`"):
        data("verify", TASK)
    with pytest.raises(TaskmarkError, match="HF_HUB_OFFLINE shuts the network"):
        data("fetch", TASK)


def test_a_task_that_fails_does_not_keep_the_others_of_its_suite_from_being_locked(
    tmp_path, monkeypatch
):
    """Half of them lie in the cache already, as the hub's library shares blobs between them."""
    names = data_sets("clip-20", [])
    made = {definition(task).repository: make(definition(task)).files for task in names}
    broken = definition("gtsrb").repository
    made[broken] = {path: body for path, body in made[broken].items() if "test" not in path}
    moved = definition("rendered-sst2").repository
    made[moved] = {path.replace("data/", "default/"): body for path, body in made[moved].items()}
    pcam = definition("pcam").repository  # whose parts' names end in a hash
    made[pcam] = {
        path.replace(".parquet", f"-{k:016x}.parquet"): body
        for k, (path, body) in enumerate(made[pcam].items())
    }
    for repository in [name for name in made if name not in {broken, moved}][::2]:
        fill(tmp_path / "hub", repository, made[repository], shared=True)
    there = Hub(broken, REVISION, made[broken], others=made)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(tasks, "RESOLUTION", 32)
    lock = tmp_path / "lock.toml"
    with serve(there):
        template = there.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", there.endpoint)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        words = ["--suite", "clip-20", "--lock", str(lock), "--folder", str(tmp_path / "arrays")]
        done = CliRunner().invoke(app, ["data", "lock", *words, "--workers", "0"])
    assert isinstance(done.exception, TaskmarkError)
    assert str(done.exception).splitlines()[0] == "1 of 20 failed, 19 are done."
    assert f"\ngtsrb: {broken} has no file data/test-*.parquet" in str(done.exception)
    assert set(read_lock(lock)) == set(names) - {"gtsrb"}
    assert not any(found.missing for found in read_lock(lock).values())
    assert "rendered-sst2: its files are default/train-*.parquet" in done.output


def test_a_user_fetches_from_a_hub_and_goes_on_without_one(tmp_path):
    made = make(definition(TASK))
    there = Hub(definition(TASK).repository, REVISION, made.files, faults={"content": [cut]})
    known = {
        "HF_HOME": str(tmp_path / "home"),
        "TASKMARK_DATA": str(tmp_path / "arrays"),
        "TASKMARK_DATA_LOCK": str(tmp_path / "lock.toml"),
        "PATH": os.environ["PATH"],
    }

    def call(*words, **more):
        return subprocess.run(  # noqa: S603
            [sys.executable, "-c", "from taskmark.cli import main; main()", "data", *words],
            env=known | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    with serve(there):
        done = call("lock", TASK, "--workers", "0", HF_ENDPOINT=there.endpoint)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(f"{TASK}: fetching {there.repository}\n")
    assert "%|" not in done.stderr  # no bars in a log
    assert f"{TASK}: train has 30 images, the official split 60000." in done.stdout
    shutil.rmtree(tmp_path / "arrays")
    done = call("fetch", TASK, "--workers", "0", HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
