"""The command line: what is wrong is one sentence on stderr, with exit code 2 and no traceback."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from taskmark import cli


@pytest.fixture
def taskmark(monkeypatch, capsys):
    """Run a command line in this process -> exit code, stdout, stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["taskmark", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        return caught.value.code or 0, out, err

    return call


@pytest.fixture
def run(taskmark, tiny_suite, tiny_store, tmp_path):
    def call(*arguments: object) -> tuple[int, str, str]:
        given = {"--suite": tiny_suite, "--store": tiny_store, "--out": tmp_path / "out"}
        options = [
            x for name, value in given.items() if name not in arguments for x in (name, value)
        ]
        return taskmark("run", "--workers", 0, "--device", "cpu", *options, *arguments)

    return call


def _one_sentence(result: tuple[int, str, str], *words: str) -> None:
    code, _, err = result
    assert code == 2
    assert "Traceback" not in err
    lines = err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("taskmark: ")
    for word in words:
        assert word in lines[0]


def test_a_run_leaves_records_tables_and_a_page(run, tmp_path):
    code, out, err = run("--method", "task_arithmetic", "--recipe", "standard")
    assert (code, err) == (0, "")
    assert "task_arithmetic" in out
    made = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    assert {"records.csv", "records.parquet", "disentanglement.csv", "site/index.html"} <= made
    assert len([name for name in made if name.startswith("records/")]) == 5
    assert not [name for name in made if "/." in name or name.startswith(".")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--suite", "mni"), ("no suite 'mni'",)),
        (("--suite", "nowhere.toml"), ("no suite file 'nowhere.toml'",)),
        (("--method", "task_aritmetic"), ("did you mean 'task_arithmetic'?",)),
        (("--method", "ties["), ("'ties[' cannot be read",)),
        (("--method", "ties[densty=1]"), ("did you mean 'density'?",)),
        (("--method", "ties[density=7]"), ("'ties' does not take density = 7",)),
        (("--method", "linear_probing[strengths=[-1]]"), ("'linear_probing' does not take",)),
        (("--backbone", "plane"), ("no backbone 'plane'", "did you mean 'plain'?")),
        (("--task", "hils"), ("no task 'hils'", "did you mean 'hills'?")),
        (("--recipe", "tangnt"), ("no recipe 'tangnt'", "did you mean 'tangent'?")),
        (
            ("--method", "tangent_fine_tuning", "--recipe", "nope"),
            ("no recipe 'nope'", "known: post_hoc, standard, tangent."),
        ),
        (("--device", "tpu"), ("no device 'tpu'", "did you mean 'cpu'?")),
        (("--device", "cuda:x"), ("The device 'cuda:x' cannot be read",)),
        (("--device", "cuda:99"), ("is not on this machine", "use --device cpu")),
        (("--plugin", "nowhere.py"), ("no plug-in file", "nowhere.py")),
    ],
)
def test_a_wrong_word_is_one_sentence(run, arguments, words, tmp_path):
    _one_sentence(run(*arguments), *words)
    assert not (tmp_path / "out" / "records").exists()


def test_a_faulty_plugin_is_one_sentence(run, tmp_path):
    (tmp_path / "mine.py").write_text("raise ValueError('one\\ntwo')")
    _one_sentence(run("--plugin", tmp_path / "mine.py"), "cannot be imported (ValueError")


def test_a_plugin_that_needs_a_value_is_one_sentence_before_anything_runs(run, tmp_path):
    (tmp_path / "mine.py").write_text(
        'from taskmark import Method\nclass A(Method):\n    name = "needy"\n    share: float\n'
    )
    _one_sentence(run("--plugin", tmp_path / "mine.py"), "'needy' does not take share")
    assert not (tmp_path / "out" / "records").exists()


@pytest.mark.parametrize("arguments", [("--seed", "-1"), ("--seed", "x"), ("--workers", "-1")])
def test_a_number_that_is_none_is_a_usage_error(run, arguments):
    code, _, err = run(*arguments)
    assert code == 2
    assert "Invalid value" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("option", ["--out", "--store"])
def test_a_folder_that_cannot_be_written_is_one_sentence(run, tmp_path, option):
    (tmp_path / "file").write_text("in the way")
    _one_sentence(run(option, tmp_path / "file" / "folder"), "cannot be written", "file/folder")


def test_a_provider_that_is_not_there_is_one_sentence(run, tiny_suite, tmp_path):
    text = tiny_suite.read_text().replace('"tiny_provider"', '"no_such_provider"')
    (tmp_path / "other.toml").write_text(text)
    _one_sentence(run("--suite", tmp_path / "other.toml"), "no module 'no_such_provider'")


@pytest.mark.parametrize("n_before", [1, 6, 20])
def test_a_full_disk_is_one_sentence_and_the_next_run_goes_on(run, tmp_path, monkeypatch, n_before):
    real, calls = os.fsync, []

    def full(descriptor: int) -> None:
        file = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        calls.extend([file] if "/store/" in file else [])
        if len(calls) > n_before:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    few = ("--store", tmp_path / "store", "--task", "hills", "--recipe", "standard")
    _one_sentence(run(*few), "cannot be written (No space left on device)")
    monkeypatch.setattr(os, "fsync", real)
    assert not list(tmp_path.rglob(".*.*.*"))
    code, out, _ = run(*few, "--method", "task_arithmetic")
    assert code == 0
    if n_before > 10:
        assert "were done before" in out


def test_an_interrupt_says_how_to_go_on(run, tiny_suite, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("taskmark.engine.run.execute", interrupted)
    code, _, err = run()
    assert code == 130
    again = f"taskmark run --workers 0 --device cpu --suite {tiny_suite} --store "
    assert err.startswith(f"taskmark: interrupted; go on from here with: {again}")
    assert "Traceback" not in err


def test_rows_that_failed_are_named_and_the_rest_is_reported(run, plugin):
    file = plugin("raise ValueError('no idea')")
    code, out, err = run("--method", "sample", "--plugin", file, "--recipe", "standard")
    assert (code, err) == (0, "")
    assert "failed" in out
    assert "ValueError: no idea" in " ".join(out.split())


def test_machines_get_events_and_no_tables(run):
    code, out, err = run("--json", "--method", "task_arithmetic", "--recipe", "standard")
    events = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert (events[0]["event"], events[-1]["event"]) == ("begin", "end")
    assert events[-1]["records"] > 0


def test_quiet_prints_nothing(run):
    assert run("--quiet", "--method", "task_arithmetic", "--recipe", "standard") == (0, "", "")


def test_a_list_names_what_a_run_can_name(taskmark, tiny_suite):
    code, out, _ = taskmark("list", "--suite", tiny_suite)
    assert code == 0
    for word in ("hills", "worded", "post_hoc", "task_arithmetic"):
        assert word in out


def test_check_passes_a_method_that_conforms_and_names_one_that_does_not(taskmark, plugin):
    code, out, _ = taskmark("check", "task_arithmetic")
    assert code == 0
    assert "task_arithmetic: " in out
    file = plugin("given.task_vectors.mul_(2); return Edit(given.task_vectors.sum(0))")
    _one_sentence(taskmark("check", file), "1 of 1 methods do not conform: sample")
    _one_sentence(taskmark("check", "tie"), "did you mean 'ties'?")


def test_compare_exits_with_one_only_if_something_moved(run, taskmark, tmp_path):
    few = ("--recipe", "standard", "--method")
    run("--out", tmp_path / "one", *few, "task_arithmetic")
    run("--out", tmp_path / "two", *few, "ties")
    code, out, _ = taskmark("compare", tmp_path / "one", tmp_path / "one")
    assert code == 0
    assert "0 moved, 0 within, 0 absorbed" in out
    code, out, _ = taskmark("compare", tmp_path / "one", tmp_path / "two")
    assert code == 1
    assert "missing: plain standard task_arithmetic" in out.splitlines()
    result = taskmark("compare", tmp_path / "one", tmp_path / "two", "--accept", "Why")
    _one_sentence(result, "name the file 'tiny-0.1.json'")


def test_a_run_becomes_a_baseline_that_it_passes(run, taskmark, tmp_path, monkeypatch):
    monkeypatch.setattr("taskmark.records.provenance.own_commit", lambda: ("c" * 40, False))
    for out, method in (("one", "task_arithmetic"), ("two", "ties")):
        run("--out", tmp_path / out, "--store", tmp_path / "fresh", "--method", method)
    baseline, changelog = tmp_path / "tiny-0.1.json", tmp_path / "CHANGELOG.md"
    changelog.write_text("# Changelog\n\n## Next\n", "utf-8")
    accepting = ("--changelog", changelog, "--accept")
    code, out, _ = taskmark("compare", baseline, tmp_path / "one", *accepting, "The first.")
    assert (code, changelog.read_text("utf-8").count("The first")) == (0, 1)
    results = {f"--{kind}": tmp_path / f"gate.{kind}" for kind in ("markdown", "junit", "json")}
    options = [word for pair in results.items() for word in pair]
    assert taskmark("compare", baseline, tmp_path / "one", *options)[0] == 0
    assert all(path.stat().st_size for path in results.values())
    code, out, _ = taskmark("compare", baseline, tmp_path / "two")
    assert code == 1
    assert "missing: plain standard task_arithmetic" in out.splitlines()
    assert "1 rows of built-in methods are not in the baseline" in out
    code, out, _ = taskmark("compare", baseline, tmp_path / "two", *accepting, "Ties instead")
    assert code == 0
    assert "Ties instead (0 accuracies moved, 1 rows new, 1 gone)." in out
    assert taskmark("compare", baseline, tmp_path / "two")[0] == 0
    baseline.write_bytes(baseline.read_bytes()[:-50])
    _one_sentence(taskmark("compare", baseline, tmp_path / "two"), "is no valid baseline")
    assert taskmark("compare", baseline, tmp_path / "two", *accepting, "It was cut")[0] == 0
    assert taskmark("compare", baseline, tmp_path / "two")[0] == 0


def _commands(group, path=()):
    """Each command of the program with the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = {" ".join(words): own for words, own in _commands(typer.main.get_command(cli.app))}


@pytest.mark.parametrize("words", COMMANDS)
def test_the_help_of_every_command_lists_all_that_it_takes_and_nothing_without_words(words):
    told = CliRunner().invoke(cli.app, [*words.split(), "--help"], env={"COLUMNS": "200"})
    assert told.exit_code == 0
    taken = COMMANDS[words].params
    assert "options" not in {parameter.name for parameter in taken}  # `**options` is not for users
    for parameter in taken:
        assert parameter.help
        assert parameter.help.split()[0] in told.stdout
        if parameter.param_type_name == "option":
            for option in parameter.opts:
                assert option in told.stdout.split()


def test_help_imports_neither_torch_nor_anything_heavy():
    code = (
        "import sys, taskmark.cli as c\n"
        "sys.argv = ['taskmark', '--help']\n"
        "try:\n    c.main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'numpy', 'pandas', 'scipy', 'matplotlib', 'sklearn', 'timm'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "benchmark of model editing" in done.stdout


def test_a_folder_without_records_is_no_run(taskmark, tmp_path):
    nowhere = tmp_path / "nowhere"
    for arguments in (("report", "--out", nowhere), ("compare", nowhere, nowhere)):
        _one_sentence(taskmark(*arguments), str(nowhere), "--out")
        assert not nowhere.exists()


def test_experts_that_are_not_there_are_one_sentence(run, tmp_path):
    _one_sentence(run("--experts", tmp_path / "nowhere"), "nowhere", "a file for each task")
    (tmp_path / "hils.safetensors").touch()
    _one_sentence(run("--experts", tmp_path), "'hils.safetensors' for 'hills'", "'lakes', 'woods'")


def test_experts_go_out_of_a_run_and_into_another(run, taskmark, tiny_suite, tiny_store, tmp_path):
    choice = ("--recipe", "standard", "--task", "hills")
    assert run("--method", "ties", *choice)[0] == 0
    there = ("--suite", tiny_suite, "--store", tiny_store, "--device", "cpu")
    code, out, _ = taskmark("experts", "export", tmp_path / "files", *there, *choice)
    assert code == 0
    assert f"--experts {tmp_path / 'files'}" in out
    code, out, err = run(
        *("--experts", tmp_path / "files", "--accept-experts", "a test of three epochs"),
        *("--method", "ties", *choice),
    )
    assert (code, err) == (0, "")
    told = tomllib.loads((tmp_path / "files" / "plain" / "0" / "experts.toml").read_text("utf-8"))
    assert f"plain, experts of {told['family']}" in " ".join(out.split())
