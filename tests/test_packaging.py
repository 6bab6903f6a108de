"""What is installed: one package with its data, and nothing beside it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("benchmark", "methods", "suites", "reports")
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """The wheel, built from a copy so that nothing of a former build is in it."""
    source = tmp_path_factory.mktemp("source")
    for name in (*FOLDERS, "tests"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    build = "from setuptools.build_meta import build_wheel; print(build_wheel('dist'))"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", build],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (path,) = (source / "dist").glob("*.whl")
    return zipfile.ZipFile(path)


def test_nothing_but_the_package_is_in_the_wheel(wheel):
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    (info,) = tops - {"taskmark"}
    assert info.endswith(".dist-info")
    assert not [name for name in wheel.namelist() if Path(name).name.startswith("test_")]


def installed(folder: str, pattern: str) -> list[Path]:
    found = [path for path in (ROOT / folder).rglob(pattern) if path.is_file()]
    assert found
    return [path for path in found if "pretraining" not in path.parts]


def test_every_module_is_in_the_wheel_under_its_name(wheel):
    names = set(wheel.namelist())
    for folder in FOLDERS:
        prefix = "taskmark" if folder == "benchmark" else f"taskmark/{folder}"
        for path in installed(folder, "*.py"):
            assert f"{prefix}/{path.relative_to(ROOT / folder)}" in names


def test_every_file_of_data_is_in_the_wheel(wheel):
    names = set(wheel.namelist())
    kinds = set()
    for folder in ("methods", "suites", "reports"):
        for path in installed(folder, "*.*"):
            if path.suffix not in {".py", ".pyc"}:
                kinds.add(path.suffix)
                assert f"taskmark/{folder}/{path.relative_to(ROOT / folder)}" in names
    assert kinds >= {".html", ".css", ".js"}
    assert "taskmark/py.typed" in names


def test_the_wheel_has_the_licence_and_the_command(wheel):
    names = wheel.namelist()
    assert [name for name in names if name.endswith("LICENSE")]
    (points,) = [name for name in names if name.endswith("entry_points.txt")]
    assert "taskmark = taskmark.cli:main" in wheel.read(points).decode()


def test_the_wheel_is_small_and_leaves_out_how_the_weights_were_trained(wheel):
    assert len(list((ROOT / "suites").glob("*/pretraining/__main__.py"))) == 2
    assert not [name for name in wheel.namelist() if "pretraining" in name]
    assert sum(info.compress_size for info in wheel.infolist()) < 20 * MEGABYTE
