"""What the tests of metrics share: records on disk, and the command line as a user calls it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

import pytest

from taskmark import cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from taskmark.records.localisation_record import LocalisationRecord
    from taskmark.records.negation_record import NegationRecord


class WriteRecords(Protocol):
    """Write records of a kind as a run would, below `tmp_path`."""

    def __call__(self, kind: str, *records: LocalisationRecord | NegationRecord) -> None: ...


@pytest.fixture
def write_records(tmp_path: Path) -> WriteRecords:
    def write(kind: str, *records: LocalisationRecord | NegationRecord) -> None:
        (tmp_path / kind).mkdir()
        for record in records:
            path = tmp_path / kind / f"{record.record_id[:16]}.json"
            path.write_text(record.model_dump_json(indent=1), "utf-8")

    return write


@pytest.fixture
def printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], str]:
    """What `taskmark` prints when it is called with these words, and ends well."""

    def call(words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["taskmark", *words.split()])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code
        return capsys.readouterr().out

    return call
