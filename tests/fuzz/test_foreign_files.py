"""Whatever a file holds, reading it ends in a value or in one of the project's own sentences."""

from __future__ import annotations

import functools
import hashlib
import json
import tracemalloc
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as for_all
from hypothesis import strategies as st
from made_up_records import (
    made_up_disentanglement,
    made_up_localisation,
    made_up_method,
    made_up_negation,
    made_up_record,
)

from taskmark import reports
from taskmark.errors import TaskmarkError
from taskmark.gate.baseline import baseline_of, baseline_rows, read_baseline, write_baseline
from taskmark.records import provenance
from taskmark.records.disentanglement_record import DisentanglementRecord
from taskmark.records.localisation_record import LocalisationRecord
from taskmark.records.negation_record import NegationRecord
from taskmark.records.record import Record
from taskmark.records.record_files import read_folder, read_kind
from taskmark.store import artifacts as store
from taskmark.suite import suite_file as suite

if TYPE_CHECKING:
    from pathlib import Path

FUZZED: list[int] = []
LARGEST_BYTES = 200e6  # that reading a file of a few kilobytes may take
RECORDS = {
    Record: made_up_record,
    DisentanglementRecord: made_up_disentanglement,
    NegationRecord: made_up_negation,
    LocalisationRecord: made_up_localisation,
}

# Named here and not in a profile: on a CI machine hypothesis loads a profile of its own.
patient = settings(
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
odd = st.sampled_from(
    [
        None, True, -1, 0, 10**30, 1e308, float("nan"), float("inf"), "", "\0", "a" * 10_000, [],
        {}, [[[]]], {"": {}}, "9999-12-31T23:59:59", "0001-01-01", "\U0010ffff", 10**12,
        2**63, "AAAA",
    ]
)  # fmt: skip
values = st.recursive(
    odd | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


@contextmanager
def _modest():
    """Reading may fail with a sentence, and takes no gigabytes."""
    FUZZED.append(1)
    tracemalloc.start()
    try:
        with suppress(TaskmarkError):
            yield
        assert tracemalloc.get_traced_memory()[1] < LARGEST_BYTES
    finally:
        tracemalloc.stop()


@st.composite
def damaged(draw, content: bytes) -> bytes:
    """Bytes with some of them changed, left out, doubled, or put in between."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(changed)))
        end = min(len(changed), place + draw(st.integers(0, 40)))
        changed[place:end] = draw(
            st.binary(max_size=8)
            | st.just(bytes(changed[place:end]) * 2)
            | st.sampled_from([b"[" * 3000, b"9" * 5000, b"\xff", b'"\\ud800"', b"{", b"NaN"])
        )
    return bytes(changed)


@st.composite
def replaced(draw, content: object) -> object:
    """A JSON value in which something, at any depth, is something else."""
    if isinstance(content, dict) and content and draw(st.integers(0, 5)):
        name = draw(st.sampled_from(sorted(content)))
        return {**content, name: draw(replaced(content[name]))}
    if isinstance(content, list) and content and draw(st.integers(0, 5)):
        place = draw(st.integers(0, len(content) - 1))
        return [*content[:place], draw(replaced(content[place])), *content[place + 1 :]]
    return draw(values)


@functools.cache
def _made(kind):
    return RECORDS[kind]().with_record_id()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    for name in ("records", "disentanglement"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@patient
@for_all(data=st.data())
def test_records_of_any_bytes(out, kind, data):
    made = _made(kind).model_dump_json().encode()
    (out / "records" / "one.json").write_bytes(data.draw(damaged(made) | st.binary()))
    with _modest():
        read_folder(out / "records", kind)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@patient
@for_all(data=st.data())
def test_records_of_another_form_that_say_who_they_are(out, kind, data):
    """The identity is made anew, so that no hash protects what reads the rest."""
    made = _made(kind).model_dump(mode="json")
    text = json.dumps(data.draw(replaced(made)))
    with suppress(ValueError, OverflowError):
        text = kind.model_validate_json(text).with_record_id().model_dump_json()
    (out / "records" / "one.json").write_text(text, "utf-8")
    (out / "disentanglement" / "one.json").write_text(text, "utf-8")
    with _modest():
        read_folder(out / "records", kind)
    with _modest():
        reports.read_records(out)
    with _modest():
        read_kind(out, DisentanglementRecord)


@patient
@for_all(data=st.data())
def test_baselines_of_any_bytes(tmp_path, data):
    path = tmp_path / "baseline.json"
    records = [made_up_record(method=made_up_method(n)) for n in ("ties", "task_arithmetic")]
    write_baseline(path, *baseline_of(records))
    files = sorted(file for file in tmp_path.iterdir() if file.is_file())
    which = data.draw(st.sampled_from(files))
    which.write_bytes(data.draw(damaged(which.read_bytes()) | st.binary()))
    with _modest():
        baseline_rows(path, read_baseline(path))


@patient
@for_all(data=st.data())
def test_suites_of_any_bytes(tmp_path, tiny_suite, data):
    path = tmp_path / "suite-1.0.toml"
    extending = (
        b'name = "x"\nversion = "1"\nsummary = ""\nextends = "smoke-1.0"\nonly = ["signs"]\n'
    )
    content = data.draw(st.sampled_from([tiny_suite.read_bytes(), extending]))
    path.write_bytes(data.draw(damaged(content) | st.binary()))
    with _modest():
        suite.read(path)


@patient
@for_all(data=st.data())
def test_suites_of_another_form(tmp_path, tiny_suite, data):
    made = suite.read(tiny_suite).model_dump(mode="json", exclude={"sha256"}, exclude_none=True)
    values_ = data.draw(replaced(made) | replaced({"extends": "smoke-1.0", "name": "x"}))
    path = tmp_path / "suite-1.0.toml"
    path.write_text(_toml(values_), "utf-8", "surrogatepass")
    with _modest():
        suite.read(path)


def _toml(value: object) -> str:
    """Inline TOML of a JSON value; what TOML has no word for is left as it is, and is no TOML."""
    if isinstance(value, dict):
        return "\n".join(f"{json.dumps(name)} = {_inline(item)}" for name, item in value.items())
    return _inline(value)


def _inline(value: object) -> str:
    if isinstance(value, dict):
        pairs = (f"{json.dumps(name)} = {_inline(item)}" for name, item in value.items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("NaN", "nan").replace("Infinity", "inf")


entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F64", "I64", "BOOL", "BF16", "F8_E4M3", "X", ""]),
        "shape": st.lists(st.sampled_from([0, 1, 3, 2**31, 2**40, 2**63 - 1]), max_size=4),
        "data_offsets": st.lists(st.integers(0, 64) | st.just(2**62), max_size=3),
    }
)
headers = st.dictionaries(st.text(max_size=5), entries | values, max_size=3)


@patient
@for_all(header=headers | values, length=st.none() | st.integers(0, 2**64 - 1), rest=st.binary())
def test_safetensors_of_any_header_under_a_hash_that_fits(tmp_path, header, length, rest):
    text = json.dumps(header).encode()
    size = len(text) if length is None else length
    content = size.to_bytes(8, "little") + text + rest
    _put(tmp_path, content)
    with _modest():
        store.Store(tmp_path).get("kind", "key")


@patient
@for_all(told=values, content=st.binary())
def test_facts_of_any_form(tmp_path, told, content):
    found = store.Store(tmp_path)
    found.put("kind", "key", {}, {})
    facts, _ = found.files("kind", "key")
    facts.write_bytes(json.dumps(told).encode() + content)
    for read in (found.get, found.verify, found.read_facts):
        with _modest():
            read("kind", "key")


@patient
@for_all(direct_url=values.map(json.dumps) | st.text() | st.just("[" * 100_000))
def test_what_an_installer_says_of_a_package_is_never_an_error(direct_url):
    with _modest():
        commit, dirty = provenance.commit_in(direct_url)
        assert (commit is None) == (dirty is None)


@pytest.mark.parametrize(
    "told",
    [
        {"vcs_info": 1}, {"vcs_info": {}}, {"vcs_info": {"commit_id": 3}}, {"dir_info": {}},
        {"dir_info": {}, "url": 7}, {"dir_info": {}, "url": "file:///%00"},
        {"dir_info": {}, "url": "file://[::1"}, ["vcs_info"], None, "vcs_info",
    ],
)  # fmt: skip
def test_odd_words_of_an_installer_name_no_commit(told):
    assert provenance.commit_in(json.dumps(told)) == (None, None)


def test_a_pickle_in_the_place_of_tensors_is_not_run(tmp_path):
    """Written by hand, since nothing here pickles: os.system("touch ...") for whoever unpickles."""
    victim = tmp_path / "it-was-run"
    evil = f"cos\nsystem\n(S'touch {victim}'\ntR.".encode()
    for content in (evil, len(evil).to_bytes(8, "little") + evil):
        _put(tmp_path, content)
        with pytest.raises(TaskmarkError, match="damaged"):
            store.Store(tmp_path).get("kind", "key")
    assert not victim.exists()


def _put(root: Path, content: bytes) -> None:
    """Put bytes into a store as if it had made them."""
    found = store.Store(root)
    found.put("kind", "key", {}, {})
    facts, tensors = found.files("kind", "key")
    told = json.loads(facts.read_bytes())
    told["sha256"] = store._digest(hashlib.sha256(content), told)
    facts.write_text(json.dumps(told), "utf-8")
    tensors.write_bytes(content)
