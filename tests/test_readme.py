"""The README is tried by doing what it says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer.main

import taskmark.methods
from taskmark import Given, Method, WeightSpace
from taskmark.cli import app
from taskmark.conformance import check_method
from taskmark.conformance.finding import UnmetError
from taskmark.conformance.random_weights import keeps
from taskmark.plugins.method_choice import GROUPS
from taskmark.plugins.registry import find

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
SESSION, LIBRARY, PLUGIN = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL))


def test_the_session_runs_on_a_suite_for_tests(tiny_suite, tmp_path):
    text = SESSION.replace('"smoke"', repr(str(tiny_suite))).replace("image_text", "plain")
    shorter = 'recipes="standard", tasks="hills", store="store", quiet=True, out='
    assert "out=" in text
    (tmp_path / "session.py").write_text(text.replace("out=", shorter, 1), "utf-8")
    done = subprocess.run(
        [sys.executable, "session.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": ":".join(entry for entry in sys.path if entry), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "smoke-results" / "site" / "index.html").is_file()
    assert (tmp_path / "smoke-results" / "plugins" / "doubled.py").is_file()


def test_the_library_example_merges_three_models():
    names: dict[str, object] = {}
    exec(compile(LIBRARY, "README.md", "exec"), names)  # noqa: S102 - our own README
    merged, given = names["merged"], names["given"]
    assert isinstance(merged, torch.Tensor)
    assert isinstance(given, Given)
    assert merged.shape == given.task_vectors[0].shape
    edited = given.space.flatten(names["pretrained"].state_dict())
    torch.testing.assert_close(edited, given.pretrained + 0.8 * merged)


def test_the_plug_in_example_is_found_and_conforms(tmp_path):
    path = tmp_path / "my_method.py"
    path.write_text(PLUGIN, "utf-8")
    found = find([path])["unit_sum"]
    assert found.origin == "file"
    assert [finding for finding in check_method(found.method) if not finding.passed] == []


def one_entry_each(n_draws):
    """Task vectors of one entry, two of each sign: what UnitSum adds up cancels."""
    source = torch.Generator().manual_seed(0)
    signs = torch.tensor([[1.0], [-1.0], [-1.0], [1.0]])
    return [signs * (0.1 + torch.rand(4, 1, generator=source)) for _ in range(n_draws)]


def test_the_plug_in_example_conforms_where_all_that_it_adds_up_cancels(tmp_path):
    """Which draws leave rounding and which leave zero differs between processors."""
    path = tmp_path / "my_method.py"
    path.write_text(PLUGIN, "utf-8")
    method = find([path])["unit_sum"].method
    space = WeightSpace.of({"w": torch.zeros(1)})
    moved = 0
    for vectors in one_entry_each(300):
        orders = [Given.of_weights(torch.ones(1), v, space) for v in (vectors, vectors.flip(0))]
        forth, back = (float(method().merge(given)) for given in orders)
        moved += forth != back
        keeps(method, torch.ones(1), vectors, [(1,)], turn=True)
    assert moved  # so that the order moves the rounding of some


def test_a_method_that_prefers_the_first_task_is_told_apart_on_one_entry_too():
    class First(Method):
        """Take the first task vector."""

        name = "first"

        def merge(self, given):
            return given.task_vectors[0].clone()

    for vectors in one_entry_each(20):
        with pytest.raises(UnmetError, match="order"):
            keeps(First, torch.ones(1), vectors, [(1,)], turn=True)


COMMANDS = [line.split("#")[0].strip() for line in SHELL.splitlines() if line.strip()]


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("taskmark")])
def test_every_command_in_it_is_one_that_the_command_line_takes(line):
    _, name, *arguments = shlex.split(line)
    typer.main.get_command(app).commands[name].make_context(name, arguments)


@pytest.mark.parametrize("session", re.findall(r"nox -s (\w+)", README))
def test_every_nox_session_in_it_exists(session):
    assert re.search(rf"^def {session}\(", (ROOT / "noxfile.py").read_text("utf-8"), re.MULTILINE)


def test_what_it_links_to_is_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_it_names_no_method_that_there_is_not():
    for name in re.findall(r"--method '?(\w+)", README):
        assert name in {*taskmark.methods.names(), *GROUPS}


def test_its_table_names_every_method_that_competes_under_its_track():
    rows = re.findall(r"^\| (weights|unlabelled|labelled) \| (.*) \|$", README, re.MULTILINE)
    named = {(track, name) for track, names in rows for name in re.findall(r"`(\w+)`", names)}
    assert named == {
        (found.method.track, name)
        for name, found in find().items()
        if found.origin == "built-in" and found.method.role != "reference"
    }
