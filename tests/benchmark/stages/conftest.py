"""What the tests of metrics share: the command line as a user calls it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from taskmark import cli

if TYPE_CHECKING:
    from collections.abc import Callable


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
