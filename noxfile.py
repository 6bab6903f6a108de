"""The habits of the project: `nox -l` lists them, `nox -s NAME` runs one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "typecheck", "tests"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
PEERS = {"mergekit": "mergekit==0.1.5", "fusion_bench": "fusion-bench==0.2.33"}
FOLDERS = ("benchmark", "methods", "suites", "reports", "tests", "noxfile.py")


def install(session: nox.Session, *groups: str) -> None:
    """Install the project in place with some of its dependency groups.

    It is done again only when pyproject.toml changed, so that a session starts at once.
    """
    done = Path(session.virtualenv.location) / "installed-pyproject.toml"
    wanted = Path("pyproject.toml").read_text("utf-8")
    if done.is_file() and done.read_text("utf-8") == wanted:
        session.log("The environment is up to date.")
        return
    session.install("-e", ".", *nox.project.dependency_groups(PYPROJECT, *groups))
    done.write_text(wanted, "utf-8")


@nox.session
def bench(session: nox.Session) -> None:
    """Run the suite `mini` and build its leaderboard in results/."""
    install(session)
    session.run("taskmark", "run", "--suite", "mini", "--out", "results", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests."""
    install(session, "test")
    session.run("pytest", "-m", "not browser and not timing", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and spelling."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "format", "--check", *FOLDERS)
    session.run("ruff", "check", *FOLDERS)
    session.run("codespell")


@nox.session
def typecheck(session: nox.Session) -> None:
    """Check types, on the installed wheel, since that is what users import."""
    install(session, "typecheck")
    with tempfile.TemporaryDirectory() as folder:
        session.install("--no-deps", "--target", folder, ".")
        session.run("mypy", "-p", "taskmark", env={"MYPYPATH": folder})


@nox.session
def report(session: nox.Session) -> None:
    """Build tables and leaderboard again from the records in results/."""
    install(session)
    session.run("taskmark", "report", "--out", "results", *session.posargs)


@nox.session
def pretrain(session: nox.Session) -> None:
    """Train the backbones of `mini` again, all of them or those named after `--`."""
    install(session)
    session.run("python", "-m", "taskmark.suites.mini.pretraining", *session.posargs)


@nox.session
def timing(session: nox.Session) -> None:
    """Measure speed beside its floor; nothing is asserted.

    `-- --size 87500000` merges vectors of the size of ViT-B/32. `-- --peers` merges beside other
    libraries too; each gets an environment of its own, made by uv, since their pins exclude ours.
    """
    install(session, "test")
    options = [option for option in session.posargs if option != "--peers"]
    if options != session.posargs:
        for name, requirement in PEERS.items():
            options += ["--peer", f"{name}={peer_python(session, name, requirement)}"]
    session.run("pytest", "tests/timing", "-m", "timing", "-s", *options)


def peer_python(session: nox.Session, name: str, requirement: str) -> Path:
    """The interpreter of an environment that holds one other library; it is made if need be."""
    folder = Path(session.virtualenv.location).with_name(f"timing-{name}")
    python = folder / "bin" / "python"
    if not python.exists():
        session.run("uv", "venv", str(folder), external=True)
    session.run("uv", "pip", "install", "--python", str(python), requirement, external=True)
    return python


@nox.session
def browser(session: nox.Session) -> None:
    """Look at the leaderboard in the system's Chromium."""
    install(session, "test", "browser")
    session.run("pytest", "-m", "browser", *session.posargs)
