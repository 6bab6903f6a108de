"""`taskmark backbones`: what a user types, and what is printed."""

from __future__ import annotations

import re
from pathlib import Path

import backbone_fixtures as fixtures
import pytest
from dataset_fixtures import REVISION
from loopback_hub import Hub, cut, refuse, serve
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from taskmark.cli import app
from taskmark.commands.suite_downloads import weights
from taskmark.errors import TaskmarkError
from taskmark.suite.suite_file import load
from taskmark.suites.real.backbones.backbone_lock import read_lock, write_lock

NAME, DRAWN = "dino-b-16", "vit-b-16-random"


@pytest.fixture
def made(tmp_path, monkeypatch):
    found = fixtures.make(tmp_path, [NAME, "clip-b-32-openai", DRAWN])
    fixtures.use(found, monkeypatch)
    monkeypatch.setenv("COLUMNS", "200")
    return found


def call(*words, code=0):
    done = CliRunner().invoke(app, ["backbones", *words])
    if isinstance(done.exception, TaskmarkError):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


def line_of(text, name):
    lines = (line.strip() for line in text.splitlines())
    return next(line for line in lines if line.startswith(f"{name} "))


def test_from_unresolved_to_verified(made):
    whole = read_lock()
    write_lock({}, made.lock)
    assert line_of(call("list"), NAME).endswith("unresolved")
    assert line_of(call("list"), DRAWN).endswith("drawn, not locked")
    assert f"{NAME}: locked at 0123456789ab in {made.lock}" in call(
        "lock", NAME, "--revision", REVISION
    )
    assert f"{DRAWN}: locked as {whole[DRAWN].sha256[:12]}" in call("lock", DRAWN)
    assert read_lock() == {name: whole[name] for name in (NAME, DRAWN)}
    assert line_of(call("list"), NAME).endswith(f"here ({whole[NAME].sha256[:7]})")
    assert line_of(call("list"), DRAWN).endswith("drawn")
    assert f"{NAME}: {made.file(NAME)} is here." in call("fetch")
    assert f"{NAME}: whole, SHA-256 {whole[NAME].sha256[:12]}." in call("verify")
    assert "clip-b-32-openai" not in call("verify")


def test_what_a_suite_runs_is_named_by_the_suite(made):
    assert f"clip-b-32-openai: {made.file('clip-b-32-openai')} is here." in call(
        "fetch", "--suite", "clip-20"
    )
    assert weights("closed-vocabulary", []) == list(load("closed-vocabulary").default_backbones)
    assert weights(None, [NAME]) == [NAME]


def test_verify_finds_damage_and_what_does_not_fit(made, tmp_path, monkeypatch):
    monkeypatch.setenv("TASKMARK_BACKBONES", str(tmp_path))
    file = tmp_path / f"{NAME}.safetensors"
    state = load_file(made.file(NAME))
    save_file(state | {"norm.bias": state["norm.bias"] + 1}, file)
    said = call("verify", NAME, DRAWN, code=1)
    assert f"{NAME}: The weights of the backbone {NAME!r} in {file} have the SHA-256" in said
    assert f"{DRAWN}: whole" in said
    write_lock({}, made.lock)
    assert "not locked" in call("verify", NAME)
    del state["norm.bias"]
    save_file(state, file)
    assert "missing: norm.bias" in call("verify", NAME, code=1)


def test_what_cannot_be_done_is_said(made, tmp_path, monkeypatch):
    with pytest.raises(TaskmarkError, match="did you mean 'dino-b-16'"):
        call("fetch", "dino-b-61")
    with pytest.raises(TaskmarkError, match="name one backbone with it"):
        call("lock", "--revision", REVISION)
    before = made.lock.read_bytes()
    for revision in ("main", REVISION[:7]):
        with pytest.raises(TaskmarkError, match=f"revision '{revision}' is not a full commit hash"):
            call("lock", NAME, "--revision", revision)
    with pytest.raises(TaskmarkError, match=f"'{DRAWN}' are drawn .* lock it without --revision"):
        call("lock", DRAWN, "--revision", REVISION)
    assert made.lock.read_bytes() == before
    with pytest.raises(TaskmarkError, match=r"shuts the network: run `taskmark backbones fetch`"):
        call("lock", "mae-b-16")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    with pytest.raises(TaskmarkError, match=r"get them with `taskmark backbones fetch dino-b-16`"):
        call("verify", NAME)
    with pytest.raises(TaskmarkError, match="HF_HUB_OFFLINE shuts the network"):
        call("fetch", NAME)
    assert line_of(call("list"), NAME).endswith(f"missing ({read_lock()[NAME].sha256[:7]})")
    write_lock({}, made.lock)
    with pytest.raises(TaskmarkError, match="No backbone is resolved yet"):
        call("fetch")
    with pytest.raises(TaskmarkError, match="'dino-b-16' is unresolved"):
        call("fetch", NAME)
    made.lock.write_text("[dino-b-16]\nsha256 = 3\n", "utf-8")
    with pytest.raises(TaskmarkError, match=r"lock file .* cannot be used .*backbones lock"):
        call("list")


def test_weights_are_fetched_from_a_hub_by_commit_after_a_cut_connection(
    made, tmp_path, monkeypatch
):
    table, content = fixtures.small()[NAME], made.file(NAME).read_bytes()
    there = Hub(table["repository"], REVISION, {table["file"]: content}, holds="models")
    there.faults["content"] = [cut]
    locked = read_lock()[NAME]
    write_lock({}, made.lock)
    with serve(there):
        where = "huggingface_hub.constants"
        monkeypatch.setattr(f"{where}.ENDPOINT", there.endpoint)
        template = there.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(f"{where}.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(f"{where}.HF_HUB_OFFLINE", False)
        monkeypatch.setattr(f"{where}.HF_HUB_CACHE", str(tmp_path / "other"))
        monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _seconds: None)
        monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _seconds: None)
        there.sent[table["file"]] = bytes([content[0] ^ 1]) + content[1:]
        with pytest.raises(TaskmarkError, match=r"cache is damaged: .*; remove ") as of:
            call("lock", NAME)
        assert read_lock() == {}
        there.sent.clear()
        Path(re.search(r"remove (.*), and", str(of.value)).group(1)).unlink()
        call("lock", NAME)
        assert read_lock() == {NAME: locked}
        there.faults["resolve"] = [refuse(503)] * 99
        call("fetch", NAME)  # the cache has it
        there.faults.clear()
        with pytest.raises(TaskmarkError, match=f"no commit {'f' * 40}.*`taskmark backbones lock`"):
            call("lock", NAME, "--revision", "f" * 40)
    monkeypatch.setattr(f"{where}.HF_HUB_OFFLINE", True)
    assert "whole" in call("verify", NAME)
