"""The example package, installed by pip in a fresh environment and run there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from taskmark.config import RunConfig
from taskmark.engine.run import run as run_suite
from taskmark.plugins.method_choice import MethodChoice

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "taskmark-median"
PROVENANCE = ("origin", "commit", "dirty")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """An environment with taskmark and the example, both built and installed by pip.

    Their dependencies are those of this environment, since tests run without a network.
    """
    folder = tmp_path_factory.mktemp("fresh")
    sources = [_copied(folder), _committed(folder)]
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    # The one that comes with Python may be too old to build what is here.
    run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "setuptools")
    lib = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    Path(lib, "dependencies.pth").write_text(sysconfig.get_path("purelib"), "utf-8")
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    run(python, "-m", "pip", "install", "--quiet", "--force-reinstall", *offline, *sources)
    return folder


def _copied(folder):
    source = folder / "taskmark"
    for name in ("benchmark", "methods", "suites", "reports"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    return source


def _committed(folder):
    source = folder / "taskmark-median"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    (source / ".gitignore").write_text("build/\n*.egg-info/\n", "utf-8")
    git = ("git", "-C", source, "-c", "user.name=A", "-c", "user.email=a@example.org")
    for command in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "One.")):
        run(*git, *command)
    return source


def run(*command, **variables):
    # What pytest says of its imports is not for those that it starts.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV"))}
    done = subprocess.run(  # noqa: S603
        list(map(str, command)),
        env=environment | variables,
        cwd=Path(command[0]).anchor or None,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def record_of_the_package(fresh, suite, out):
    """The record of the method from a run of the tiny suite in the fresh environment."""
    command = (fresh / "env" / "bin" / "taskmark", "run", "--suite", suite, "--device", "cpu")
    command += ("--workers", "0", "--store", fresh / "store", "--out", out, "--quiet")
    run(*command, "--method", "median", PYTHONPATH=str(Path(__file__).parent))
    records = [json.loads(path.read_text("utf-8")) for path in (out / "records").iterdir()]
    return next(record for record in records if record["method"]["name"] == "median")


def test_it_is_found_checked_and_tested_where_it_is_installed(fresh):
    scripts = fresh / "env" / "bin"
    assert "median" in run(scripts / "taskmark", "list")
    assert "median: " in run(scripts / "taskmark", "check", "median")
    here = (scripts / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    said = run(*here, "--rootdir", fresh, fresh / "taskmark-median" / "tests")
    assert " passed" in said


def test_its_record_is_that_of_the_file_but_for_provenance(fresh, tiny_suite, tmp_path):
    package = record_of_the_package(fresh, tiny_suite, tmp_path / "package")
    commit = run("git", "-C", fresh / "taskmark-median", "rev-parse", "HEAD").strip()
    assert package["state"] == "ok"
    assert {key: package["method"][key] for key in PROVENANCE} == {
        "origin": "package",
        "commit": commit,
        "dirty": False,
    }
    # Here the package is not installed, so that its file can be a plug-in.
    source = fresh / "taskmark-median" / "src" / "taskmark_median" / "median.py"
    config = RunConfig(
        suite=str(tiny_suite),
        out=tmp_path / "file",
        methods=(MethodChoice("median"),),
        device="cpu",
        plugins=(source,),
        workers=0,
        store=fresh / "store",
    )
    (row,) = [row for row in run_suite(config).records if row.method.name == "median"]
    file = json.loads(row.model_dump_json())
    assert file["method"]["origin"] == "file"
    for record in (package, file):
        for key in ("record_id", "measured", "provenance"):
            del record[key]
        for key in PROVENANCE:
            del record["method"][key]
    assert package == file


def test_the_environment_of_the_tests_does_not_have_it():
    command = "from importlib.util import find_spec as f; print(f('taskmark_median'))"
    assert run(sys.executable, "-c", command).strip() == "None"
