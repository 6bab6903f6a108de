"""The one way to a terminal: any text, in any encoding, on a terminal of any width."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from made_up_records import made_up_method, made_up_record, write_out
from rich.table import Column, Table

from taskmark.console import PlainConsole, escape
from taskmark.reports import KEY_COLUMNS, terminal_table

ODD = "[red]é[/red] … 模型 \x1b[2J \udcff :smile:"


def printed(monkeypatch, encoding, width=200):
    """A console on a stream of some encoding, and what was written so far."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("COLUMNS", str(width))

    def text() -> str:
        stream.flush()
        return stream.buffer.getvalue().decode(encoding)

    return PlainConsole(), text


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii", "koi8-r"])
def test_any_text_is_printed_in_any_encoding(monkeypatch, encoding):
    console, text = printed(monkeypatch, encoding)
    table = Table("name")
    table.add_row(ODD)
    console.say(ODD)
    console.show(table)
    assert text().count("[red]") == 2
    assert text().count("\\x1b[2J \\udcff :smile:") == 2
    assert "\x1b" not in text()


def test_what_an_encoding_has_is_left_as_it_is():
    assert escape("é 模", "utf-8") == "é 模"
    assert escape("é 模", "cp1252") == "é \\u6a21"
    assert escape("two\nlines\x07", "ascii") == "two\nlines\\x07"


def test_a_long_line_is_not_broken(monkeypatch):
    console, text = printed(monkeypatch, "utf-8", width=20)
    console.say("/a/path" * 20)
    assert text() == "/a/path" * 20 + "\n"


def test_a_narrow_terminal_keeps_the_columns_that_matter_and_names_the_others(monkeypatch):
    console, text = printed(monkeypatch, "utf-8", width=24)
    table = Table("key", Column("number", no_wrap=True), "much", "more", box=None)
    table.add_row("a", "0.123 [0.1, 0.2]", "of little use", "of no use")
    console.show(table, keep=("number",))
    assert "0.123 [0.1, 0.2]" in text()
    assert "use" not in text()
    assert text().splitlines()[-1] == "Not shown on 24 characters: columns much, more."


def test_a_wide_terminal_shows_all(monkeypatch):
    console, text = printed(monkeypatch, "utf-8")
    table = Table("key", "more")
    table.add_row("a", "b")
    console.show(table)
    assert "Not shown" not in text()


@pytest.mark.parametrize("width", [20, 30, 40, 58])
def test_a_board_keeps_rank_method_and_score_on_a_narrow_terminal(monkeypatch, width):
    console, text = printed(monkeypatch, "utf-8", width=width)
    record = made_up_record(n=50, method=made_up_method("a_method_with_a_name"))
    console.show(terminal_table([record]), keep=KEY_COLUMNS)
    lines = text().splitlines()
    (row,) = [line.split(maxsplit=2) for line in lines if "[" in line]
    assert row[0] == "1"
    assert "a_method_with_a_name".startswith(row[1])
    assert row[2].count(".") == 3
    assert row[2].rstrip().endswith("]")
    assert [line for line in lines if line.startswith("Not shown")] == [
        f"Not shown on {width} characters: column absolute."
    ]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("missing", [False, True])
def test_a_command_ends_well_whatever_its_paths_and_methods_are_called(tmp_path, encoding, missing):
    out = tmp_path / "выход"
    if not missing:
        write_out(out, [made_up_record(n=50, method=made_up_method("méthode_模"))], [])
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "taskmark", "report", "--out", str(out)],
        capture_output=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    out_text, err_text = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert "Traceback" not in err_text
    assert done.returncode == (2 if missing else 0)
    where = err_text if missing else out_text
    assert "\\u0432\\u044b\\u0445\\u043e\\u0434" in where
    assert missing or "thode_\\u6a21" in where
