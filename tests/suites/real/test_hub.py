"""Fetching from a hub on loopback: what is brought, and what is said when it fails."""

from __future__ import annotations

import errno
from dataclasses import replace
from types import SimpleNamespace

import pytest
from dataset_fixtures import REVISION, fill, make, place_of
from huggingface_hub import errors
from loopback_hub import CONVERTED, Hub, cut, refuse, serve, trickle

from taskmark.errors import TaskmarkError
from taskmark.suites.real.data import hub, lock_resolution, repository_paths, tasks
from taskmark.suites.real.data.data_lock import LockedDataSet, LockedFile
from taskmark.suites.real.data.public_data_sets import definition

DATA = definition("dtd")


@pytest.fixture
def loopback(monkeypatch):
    made = make(DATA)
    extra = {"data/contrast-00000-of-00001.parquet": b"gigabytes of no use"}
    there = Hub(DATA.repository, REVISION, {**made.files, **extra})
    with serve(there):
        where = "huggingface_hub.constants"
        monkeypatch.setattr(f"{where}.ENDPOINT", there.endpoint)
        template = there.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(f"{where}.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(f"{where}.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _seconds: None)
        monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _seconds: None)
        yield there


def fetched(cache):
    folder = hub.fetch(DATA, REVISION, cache=cache)
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.parquet")}


def wanted(there):
    return {path: body for path, body in there.files.items() if "contrast" not in path}


def test_the_files_that_are_needed_come_through_a_redirect(tmp_path, loopback):
    assert fetched(tmp_path) == wanted(loopback)
    assert loopback.kinds().count("content") == 4


def test_what_is_in_the_cache_is_not_fetched_again_and_needs_no_network(
    tmp_path, loopback, monkeypatch
):
    fetched(tmp_path)
    n_asked = len(loopback.asked)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert fetched(tmp_path) == wanted(loopback)
    assert len(loopback.asked) == n_asked


def test_a_cut_connection_goes_on_where_it_was_cut(tmp_path, loopback, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 512)
    loopback.faults["content"] = [cut]
    assert fetched(tmp_path) == wanted(loopback)
    assert any(asked.startswith("bytes=") for _, _, asked in loopback.asked)


def test_a_slow_connection_is_waited_for(tmp_path, loopback):
    loopback.faults["content"] = [trickle, trickle]
    assert fetched(tmp_path) == wanted(loopback)


def test_too_many_requests_are_tried_again(tmp_path, loopback):
    loopback.faults["content"] = [refuse(429, Retry_After="1")]
    assert fetched(tmp_path) == wanted(loopback)


def test_too_many_requests_for_too_long_say_when_to_go_on(tmp_path, loopback):
    loopback.faults["tree"] = [refuse(429, Retry_After="77")] * 40
    with pytest.raises(TaskmarkError, match=r"too many requests \(429\); go on in 77 s"):
        fetched(tmp_path)


@pytest.mark.parametrize("kind", ["tree", "resolve", "content"])
def test_a_hub_that_is_out_of_order_is_told_and_whole_files_are_kept(tmp_path, loopback, kind):
    loopback.faults[kind] = [refuse(503)] * 99
    with pytest.raises(TaskmarkError, match=r"out of order \(503\).*whole files are kept"):
        fetched(tmp_path)
    loopback.faults.clear()
    assert fetched(tmp_path) == wanted(loopback)


def test_a_file_that_is_listed_but_gone_is_told(tmp_path, loopback):
    gone = refuse(404, X_Error_Code="EntryNotFound", X_Error_Message="gone")
    loopback.faults["content"] = [gone] * 9
    with pytest.raises(TaskmarkError, match="cannot give"):
        fetched(tmp_path)


@pytest.mark.usefixtures("loopback")
def test_a_wrong_revision_is_told(tmp_path):
    with pytest.raises(TaskmarkError, match=f"no commit {'f' * 40} of tanganke/dtd.*data lock"):
        hub.fetch(DATA, "f" * 40, cache=tmp_path)


@pytest.mark.usefixtures("loopback")
def test_a_wrong_repository_is_told(tmp_path):
    other = DATA.model_copy(update={"repository": "nobody/nothing"})
    with pytest.raises(TaskmarkError, match="no repository nobody/nothing that you may see"):
        hub.fetch(other, REVISION, cache=tmp_path)


def test_an_unknown_token_is_told(tmp_path, loopback):
    loopback.faults["tree"] = [refuse(401)] * 9
    with pytest.raises(TaskmarkError, match=r"\(401\): give a valid token"):
        fetched(tmp_path)


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Data processing error: File reconstruction error"),
        errors.XetDownloadError("the storage hung up"),
    ],
    ids=["native", "library"],
)
def test_a_transfer_that_breaks_off_is_told_with_a_cure(tmp_path, monkeypatch, error):
    def broken(*_args, **_kwargs):
        raise error

    monkeypatch.setattr("huggingface_hub.file_download.http_get", broken)
    with pytest.raises(TaskmarkError, match=r"The transfer of tanganke/dtd .*HF_HUB_DISABLE_XET=1"):
        fetched(tmp_path)


def move(there, *, to):
    """The hub's files, in another folder or branch than the definition names."""
    return {to(path): body for path, body in wanted(there).items()}


@pytest.mark.parametrize("folder", ["default/", "", "dtd_1/"], ids=str)
def test_files_in_another_folder_are_found_by_the_list_of_all_files(tmp_path, loopback, folder):
    loopback.files = move(loopback, to=lambda path: path.replace("data/", folder))
    assert fetched(tmp_path) == loopback.files
    place = replace(place_of(tmp_path, []), cache=tmp_path)
    lock, surprises = lock_resolution.resolve("dtd", place)
    assert set(lock.files) == set(loopback.files)
    assert f"its files are {folder}train-*.parquet and {folder}test-" in surprises[0]
    n_asked = len(loopback.asked)
    assert tasks.fetched("dtd", lock, place)[1] == lock.files
    assert "tree" not in loopback.kinds()[n_asked:]  # what is locked is not looked for


def test_the_folder_data_counts_before_others_and_one_of_two_others_is_not_guessed(loopback):
    elsewhere = definition("rendered-sst2").model_copy(
        update={"files": {"train": ("x/train-*.parquet",), "test": ("x/test-*.parquet",)}}
    )
    one, other = (
        [path.replace("data", folder) for path in wanted(loopback)] for folder in ("one", "two")
    )
    assert repository_paths.find(elsewhere, [*wanted(loopback), *one])["train"] == (
        "data/train-*.parquet",
    )
    assert repository_paths.find(elsewhere, one)["test"] == ("one/test-*.parquet",)
    assert repository_paths.find(elsewhere, [*one, *other]) is None
    assert repository_paths.find(elsewhere, [path for path in one if "test" not in path]) is None


def test_the_hubs_own_conversion_is_taken_where_the_main_branch_has_other_files(tmp_path, loopback):
    converted = move(
        loopback, to=lambda path: path.replace("data/", "default/").replace("-", "/", 1)
    )
    loopback.files = {"dtd.py": b"a script", "README.md": b"words"}
    loopback.converted[DATA.repository] = converted
    place = place_of(tmp_path, [])
    lock, surprises = lock_resolution.resolve("dtd", place)
    assert lock.revision == CONVERTED
    assert set(lock.files) == set(converted)
    assert "default/train/*.parquet" in surprises[0]


def test_files_that_are_nowhere_are_told_with_the_folders_that_there_are(tmp_path, loopback):
    loopback.files = move(loopback, to=lambda path: path.replace("test", "held-out"))
    told = (
        r"tanganke/dtd has no file data/test-\*\.parquet at the commit 0123456789ab, nor .* its "
        r"folders are data \(4 files\)"
    )
    with pytest.raises(TaskmarkError, match=told):
        fetched(tmp_path)
    with pytest.raises(TaskmarkError, match=told):
        hub.newest(DATA)
    assert "content" not in loopback.kinds()


def test_what_is_fetched_and_what_is_decoded_must_fit_on_the_disk(tmp_path, loopback, monkeypatch):
    fetching = sum(map(len, wanted(loopback).values()))
    decoded = {tmp_path / "arrays": 5e6}
    usage = SimpleNamespace(free=fetching + 5e6 - 1)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(TaskmarkError, match=r"need 0\.0 GB in .*arrays and 0\.0 GB in .*HF_HOME"):
        hub.fetch(DATA, REVISION, cache=tmp_path, decoded=decoded)
    assert "content" not in loopback.kinds()
    usage.free += 1
    hub.fetch(DATA, REVISION, cache=tmp_path, decoded=decoded)
    usage.free = 0  # what is in the cache needs no room
    hub.fetch(DATA, REVISION, cache=tmp_path)


def test_gated_data_says_how_to_get_in(tmp_path, loopback):
    gated = refuse(403, X_Error_Code="GatedRepo", X_Error_Message="gated")
    loopback.faults["tree"] = [gated] * 9
    with pytest.raises(TaskmarkError, match="accept its terms"):
        fetched(tmp_path)


def test_other_bytes_than_announced_are_found(tmp_path, loopback):
    path = min(wanted(loopback))
    content = loopback.files[path]
    loopback.sent[path] = bytes([content[0] ^ 1]) + content[1:]
    folder = hub.fetch(DATA, REVISION, cache=tmp_path)
    blob = (folder / path).resolve()
    with pytest.raises(TaskmarkError, match=f"{path} in the hub's cache is damaged.*remove {blob}"):
        tasks.hashes(folder, hub.matching(folder, DATA.patterns(), DATA))
    loopback.sent.clear()
    blob.unlink()  # as the sentence says
    assert fetched(tmp_path) == wanted(loopback)


@pytest.mark.parametrize("shared", [False, True], ids=["blobs", "shared blobs"])
def test_good_files_are_good_in_each_layout_of_the_cache(tmp_path, monkeypatch, shared):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    fill(tmp_path / "hub", DATA.repository, make(DATA).files, shared=shared)
    _, files = tasks.fetched("dtd", LockedDataSet(revision=REVISION), place_of(tmp_path, []))
    assert set(files) == set(make(DATA).files)


@pytest.mark.parametrize("shared", [False, True], ids=["blobs", "shared blobs"])
def test_a_damaged_file_is_found_in_each_layout_of_the_cache_and_removed_as_the_sentence_says(
    tmp_path, loopback, shared
):
    folder = fill(tmp_path, DATA.repository, wanted(loopback), shared=shared)
    path = min(wanted(loopback))
    bytes_at = (folder / path).resolve()
    bytes_at.chmod(0o644)
    bytes_at.write_bytes(b"x" * len(loopback.files[path]))
    with pytest.raises(TaskmarkError, match=f"{path} .* is damaged.*remove {bytes_at}, and"):
        tasks.hashes(folder, hub.matching(folder, DATA.patterns(), DATA))
    bytes_at.unlink()
    assert fetched(tmp_path) == wanted(loopback)


@pytest.mark.usefixtures("loopback")
def test_no_server_at_all_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(TaskmarkError, match=r"could not be fetched .*see that there is a network"):
        fetched(tmp_path)


@pytest.mark.usefixtures("loopback")
def test_no_space_is_told(tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.file_download.http_get", full)
    with pytest.raises(TaskmarkError, match=r"No space is left .*HF_HOME"):
        fetched(tmp_path)


def test_a_defect_of_the_library_is_not_hidden(tmp_path, monkeypatch):
    def broken(*_args, **_kwargs):
        raise AttributeError("defect")

    monkeypatch.setattr("huggingface_hub.snapshot_download", broken)
    with pytest.raises(AttributeError):
        fetched(tmp_path)


def test_an_empty_cache_without_a_network_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TaskmarkError, match="HF_HUB_OFFLINE shuts the network: run `taskmark data"):
        fetched(tmp_path)


def test_half_of_the_parts_is_told(tmp_path):
    files = make(DATA).files
    del files["data/train-00001-of-00002.parquet"]
    folder = fill(tmp_path, DATA.repository, files)
    with pytest.raises(TaskmarkError, match=r"Only 1 of 2 parts of train\.parquet"):
        hub.matching(folder, DATA.patterns(), DATA)


def test_parts_whose_names_end_in_a_hash_are_counted_too(tmp_path):
    pcam = definition("pcam")
    made = make(pcam).files
    hashed = {
        path.replace(".parquet", f"-{k:016x}.parquet"): made[path] for k, path in enumerate(made)
    }
    folder = fill(tmp_path / "whole", pcam.repository, hashed)
    assert len(hub.matching(folder, pcam.patterns(), pcam)) == 4
    del hashed[max(path for path in hashed if "train" in path)]
    folder = fill(tmp_path / "half", pcam.repository, hashed)
    with pytest.raises(TaskmarkError, match=r"Only 1 of 2 parts of train\.parquet"):
        hub.matching(folder, pcam.patterns(), pcam)


def test_a_split_without_files_is_told(tmp_path):
    files = {p: c for p, c in make(DATA).files.items() if "test" not in p}
    folder = fill(tmp_path, DATA.repository, files)
    with pytest.raises(TaskmarkError, match=r"no file data/test-\*.parquet"):
        hub.matching(folder, DATA.patterns(), DATA)


@pytest.mark.usefixtures("loopback")
def test_the_newest_commit_is_what_the_hub_says():
    assert hub.newest(DATA) == REVISION


def test_files_must_be_those_of_the_lock(tmp_path):
    one, other = (LockedFile(size=1, sha256=c * 64) for c in "ab")
    blob = tmp_path / "blob"
    blob.touch()
    (tmp_path / "x").symlink_to(blob)

    def check(found, locked):
        tasks.require_same(found, locked, "o/n", tmp_path)

    check({"x": one}, {"x": one})
    check({"x": one}, {})
    with pytest.raises(TaskmarkError, match=r"x of o/n has the SHA-256 b.*changed upstream") as of:
        check({"x": other}, {"x": one})
    assert f"remove {blob}, and fetch" in str(of.value)
    with pytest.raises(TaskmarkError, match="x of o/n is missing"):
        check({}, {"x": one})
    with pytest.raises(TaskmarkError, match=rf"y of o/n is not in .* remove {tmp_path / 'y'}\."):
        check({"x": one, "y": one}, {"x": one})
