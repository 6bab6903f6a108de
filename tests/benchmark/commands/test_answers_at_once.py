"""Commands that compute nothing import nothing that computes, which is what makes them quick."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from taskmark import cli

EXAMPLE = Path(__file__).parents[3] / "examples" / "mini-1.0"
HEAVY = ("torch", "timm", "open_clip", "sklearn", "pandas", "matplotlib")
CALL = """
import json, sys
from taskmark import cli
sys.argv = ["taskmark", *{arguments!r}]
try:
    cli.main()
except SystemExit as end:
    code = end.code or 0
print(json.dumps([code, [name for name in {heavy!r} if name in sys.modules]]), file=sys.stderr)
"""


def call(*arguments, cwd, heavy=HEAVY, **environment):
    """Run a command in a process of its own -> exit code, what it printed, what it imported."""
    code = CALL.format(arguments=[str(argument) for argument in arguments], heavy=heavy)
    command = [sys.executable, "-c", code]
    done = subprocess.run(  # noqa: S603 - our own
        command,
        check=False,
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
    )
    err = done.stderr.decode("utf-8", "replace").strip().splitlines()
    exit_code, imported = json.loads(err[-1])
    return exit_code, done.stdout.decode("utf-8", "replace") + "\n".join(err[:-1]), imported


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        ("--version", 0, "taskmark "),
        ("-h", 0, "Usage"),
        ("run -h", 0, "--method NAME"),
        ("list", 0, "task_arithmetic"),
        ("list methods", 0, "ties"),
        ("list suites", 0, "mini@1.0"),
        ("list method", 2, "did you mean 'methods'"),
        ("show ties", 0, "density"),
        ("show mini", 0, "handwriting"),
        ("show tiess", 2, "did you mean 'ties'"),
        ("new mine", 0, "taskmark check mine.py"),
        ("new ties", 2, "There is a method 'ties' already"),
        ("run --method tiess", 2, "did you mean 'ties'"),
        ("run --method ties[densty=1]", 2, "did you mean 'density'"),
        ("run --suite mni", 2, "did you mean 'mini'"),
        ("run --backbone image_txt", 2, "did you mean 'image_text'"),
        ("run --task lant", 2, "did you mean 'land'"),
        ("run --recipe tangnt", 2, "did you mean 'tangent'"),
        ("run --device tpu", 2, "did you mean 'cpu'"),
        ("run --plugin nowhere.py", 2, "no plug-in file"),
        ("run --estimate --method tiess", 2, "did you mean 'ties'"),
        ("check tie", 2, "did you mean 'ties'"),
        ("submit tie", 2, "did you mean 'ties'"),
        ("experts export there --suite mni", 2, "did you mean 'mini'"),
        ("report --out nowhere", 2, "no records in 'nowhere'"),
        ("compare nowhere elsewhere", 2, "no records in 'elsewhere'"),
        ("reproduce --list", 0, "tangent"),
        ("reproduce tngent", 2, "did you mean 'tangent'"),
        ("data list", 0, "cars"),
        ("backbones list", 0, "clip-b-32-openai"),
        ("cache list", 2, "no store"),
    ],
)
def test_it_answers_without_what_computes(tmp_path, arguments, exit_code, words):
    code, said, imported = call(*arguments.split(), cwd=tmp_path, HOME=str(tmp_path))
    assert (code, imported) == (exit_code, [])
    assert words in said
    assert "Traceback" not in said


def test_a_report_of_nothing_new_says_the_same_and_imports_nothing(tmp_path):
    out = tmp_path / "out"
    for folder in ("records", "catalogue"):
        (out / folder).mkdir(parents=True)
    for path in sorted((EXAMPLE / "records").glob("*.json"))[:4]:
        shutil.copy(path, out / "records")

    def report():
        return call("report", "--out", out, cwd=tmp_path)

    code, first, imported = report()
    assert (code, "matplotlib" in imported) == (0, True)
    assert report() == (0, first, [])

    page = out / "site" / "index.html"
    before = page.read_bytes()
    page.write_bytes(b"edited")
    assert "matplotlib" in report()[2]  # what was edited is made again
    assert page.read_bytes() == before
    shutil.copy(sorted((EXAMPLE / "records").glob("*.json"))[5], out / "records")
    code, third, imported = report()
    assert (code, "matplotlib" in imported) == (0, True)
    assert third != first
    assert report() == (0, third, [])
    assert call("report", "--out", out, cwd=tmp_path, COLUMNS="60")[1] != third


def test_no_colour_is_printed_where_nobody_wants_it(tmp_path):
    forced = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}
    coloured = call("list", "methods", cwd=tmp_path, **forced)[1]
    plain = call("list", "methods", cwd=tmp_path, NO_COLOR="1", **forced)[1]
    for code in ("\x1b[3", "\x1b[9"):  # of foregrounds
        assert code not in plain
    assert "ties" in coloured


def commands(group=None, *, path=()):
    """All commands of the command line."""
    group = group or typer.main.get_command(cli.app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, path=(*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize("path", [path for path, _ in commands()], ids=" ".join)
def test_its_help_says_what_each_value_is(path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["taskmark", *path, "-h"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    said = capsys.readouterr().out
    for shown in ("<str>", "<path>", "<int>", "list[", "{name}", "{names}"):
        assert shown not in said


@pytest.mark.parametrize(
    ("line", "place", "offered"),
    [
        ("taskmark run --method tie", 3, "ties"),
        ("taskmark run --suite gat", 3, "gate@1.0"),
        ("taskmark run --suite smoke --backbone ra", 5, "random"),
        ("taskmark run --task lan", 3, "land"),
        ("taskmark run --recipe po", 3, "post_hoc"),
        ("taskmark list met", 2, "methods"),
        ("taskmark show min", 2, "mini"),
        ("taskmark sh", 1, "show"),
    ],
)
def test_a_shell_completes(line, place, offered, tmp_path):
    code, said, imported = call(
        cwd=tmp_path,
        _TASKMARK_COMPLETE="complete_bash",
        COMP_WORDS=line,
        COMP_CWORD=str(place),
    )
    assert offered in said.split()
    assert (code, imported) == (0, [])
