"""The habits of the project: `nox -l` lists them, `nox -s NAME` runs one."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "typecheck", "tests"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
# The suites of the accuracy gate, whose baselines are in tests/gate. The second has two tasks, for
# the methods that merge no more.
GATES = {"gate-1.0": (), "gate-pair-1.0": ("hierarchical_ot",)}
# A file stays in one process, since its tests share what they set up; no process uses more threads.
# Files are handed out in the order of tests/conftest.py, not by how many tests they have.
IN_PARALLEL = (
    *("-n", "auto", "--maxprocesses", "4", "--dist", "loadfile", "--no-loadscope-reorder"),
    "--benchmark-disable",
)
PEERS = {"mergekit": "mergekit==0.1.5", "fusion_bench": "fusion-bench==0.2.33"}
# What computes: the libraries of other processors add up in other orders, with other instructions.
COMPUTING = (
    "tests/methods",
    "tests/suites",
    "tests/benchmark/contract",
    "tests/benchmark/inference",
    "tests/benchmark/stages",
    "tests/benchmark/test_conformance.py",
    "tests/benchmark/test_conformance_pytest.py",
    "tests/test_readme.py",
)
PROCESSORS = (
    {"MKL_CBWR": "COMPATIBLE"},  # the oldest instructions of MKL, in one order on all processors
    {"ATEN_CPU_CAPABILITY": "default"},  # torch's own kernels without vector instructions
    {"ATEN_CPU_CAPABILITY": "avx2"},
)
FOLDERS = ("benchmark", "methods", "suites", "reports", "tests", "examples", "noxfile.py")


def install(session: nox.Session, *groups: str) -> None:
    """Install the project in place with some of its dependency groups.

    It is done again only when pyproject.toml changed, so that a session starts at once.
    """
    # uv does not compile what it installs. Where the environment forbids Python to keep what it
    # compiles, each process that imports torch takes twice as long to start.
    session.env["PYTHONDONTWRITEBYTECODE"] = ""
    done = Path(session.virtualenv.location) / "installed-pyproject.toml"
    wanted = Path("pyproject.toml").read_text("utf-8")
    if done.is_file() and done.read_text("utf-8") == wanted:
        session.log("The environment is up to date.")
        return
    session.install("-e", ".", *nox.project.dependency_groups(PYPROJECT, *groups))
    done.write_text(wanted, "utf-8")


@nox.session
def bench(session: nox.Session) -> None:
    """Run the core methods on the suite `mini` and build its leaderboard in results/.

    `-- --method all` runs all others too, and reuses everything; `-- --suite mini-language` runs
    that suite.
    """
    install(session)
    if "mini-language" in session.posargs:
        session.install("-e", ".[language]")
    chosen = () if "--method" in session.posargs else ("--method", "core")
    session.run("taskmark", "run", "--suite", "mini", "--out", "results", *chosen, *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, on up to four cores; `-- -n 0` keeps them in one process."""
    install(session, "test")
    options = ("-m", "not browser and not timing and not complete", *IN_PARALLEL)
    session.run("pytest", *options, *session.posargs, env={"OMP_NUM_THREADS": "1"})


@nox.session(name="tests-elsewhere")
@nox.parametrize("torch", ["oldest", "newest"])
def tests_elsewhere(session: nox.Session, torch: str) -> None:
    """Run the tests that compute as on other processors, with the oldest and the newest torch."""
    (permitted,) = (r for r in PYPROJECT["project"]["dependencies"] if r.startswith("torch>="))
    wanted = f"{permitted.replace('>=', '==')}.*" if torch == "oldest" else permitted
    groups = nox.project.dependency_groups(PYPROJECT, "test")
    session.install("--upgrade", "-e", ".", *groups, wanted)
    options = ("-m", "not browser and not timing and not complete", *IN_PARALLEL)
    for processor in PROCESSORS:
        for threads in ("1", "2"):
            env = {**processor, "OMP_NUM_THREADS": threads}
            session.run("pytest", *options, *COMPUTING, *session.posargs, env=env)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and spelling."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "format", "--check", *FOLDERS)
    session.run("ruff", "check", *FOLDERS)
    session.run("codespell")


@nox.session
def typecheck(session: nox.Session) -> None:
    """Check types and imports, on the installed wheel, since that is what users import."""
    install(session, "typecheck")
    with tempfile.TemporaryDirectory() as folder:
        session.install("--no-deps", "--target", folder, ".")
        session.run("mypy", "-p", "taskmark", env={"MYPYPATH": folder})
        session.run("lint-imports", "--no-cache", env={"PYTHONPATH": folder})


@nox.session
def conformance(session: nox.Session) -> None:
    """Run the conformance tests on all methods; `-- --since origin/main` on those that changed."""
    install(session)
    session.run("taskmark", "check", *session.posargs)


@nox.session
def trial(session: nox.Session) -> None:
    """Run `mini` for methods that changed, and submissions again: `-- --since origin/main`."""
    install(session)
    session.run("taskmark", "run", "--suite", "mini", "--out", "results/trial", *session.posargs)
    session.run("taskmark", "reproduce", "--out", "results/reproduced", *session.posargs)


@nox.session(venv_backend="none")
def comment(session: nox.Session) -> None:
    """Post the tables of a folder to the pull request of the commit HEAD_SHA, with gh."""
    tables = sorted(Path(session.posargs[0]).rglob("*.md"))
    # What submitted code wrote is text: it mentions nobody, and is no longer than a comment.
    text = "\n\n".join(path.read_text("utf-8", "replace") for path in tables)
    text = text.replace("@", "@\u200b")[:60_000]
    whole = f"{text}\n\nThe run, with a preview of the site: {os.environ['RUN_URL']}\n"
    pulls = f"repos/{{owner}}/{{repo}}/commits/{os.environ['HEAD_SHA']}/pulls"
    number = session.run("gh", "api", pulls, "--jq", ".[0].number", silent=True, external=True)
    if not str(number).strip().isdigit():
        session.skip("No pull request is open for this commit.")
    with tempfile.NamedTemporaryFile("w", suffix=".md", encoding="utf-8") as body:
        body.write(whole)
        body.flush()
        where = ("--edit-last", "--create-if-none", "--body-file", body.name)
        session.run("gh", "pr", "comment", str(number).strip(), *where, external=True)


@nox.session
def report(session: nox.Session) -> None:
    """Build tables and leaderboard again from the records in results/ and in submissions/."""
    install(session)
    submitted = ("--submissions", "submissions") if Path("submissions").is_dir() else ()
    session.run("taskmark", "report", "--out", "results", *submitted, *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Simulate how often intervals contain the truth, and renew the table on the site."""
    install(session)
    out = "benchmark/statistics/coverage.json"
    session.run("python", "-m", "taskmark.statistics.coverage", "--out", out, *session.posargs)


@nox.session
def pretrain(session: nox.Session) -> None:
    """Train the backbones of `mini` again, all of them or those named after `--`.

    `-- mini-language` trains those of that suite, or those named after it.
    """
    install(session)
    suite, backbones = "mini", list(session.posargs)
    if backbones[:1] == ["mini-language"]:
        suite, backbones = "mini_language", backbones[1:]
        session.install("-e", ".[language]")
    session.run("python", "-m", f"taskmark.suites.{suite}.pretraining", *backbones)


@nox.session
def language(session: nox.Session) -> None:
    """Run the tests of `mini-language`, those that ask lm_eval among them."""
    install(session, "test", "language")
    files = ("model", "pretraining", "tasks")
    names = [f"tests/suites/test_language_{name}.py" for name in files]
    session.run("pytest", *names, "tests/suites/test_lm_eval.py", *session.posargs)


@nox.session
def gate(session: nox.Session) -> None:
    """Run the suites of the gate and hold each accuracy against the committed baseline.

    What came out is in results/gate, the comparison as Markdown, JUnit XML and JSON. `-- --accept
    "reason"` makes the new accuracies the baseline, from a tree without uncommitted changes.
    `-- --mutations` plants faults into the methods instead, and lists which of them the gate finds.
    """
    install(session, "test")
    out = Path("results/gate").resolve()
    shutil.rmtree(out, ignore_errors=True)
    if "--mutations" in session.posargs:
        options = [option for option in session.posargs if option != "--mutations"]
        session.run("python", "tests/gate/demonstration.py", str(out), *options)
        return
    # A store of its own, so that every record is made by the code and the commit that stand here.
    with tempfile.TemporaryDirectory() as store:
        for suite, methods in GATES.items():
            name = suite.rpartition("-")[0]
            options = [word for method in methods for word in ("--method", method)]
            places = ("--out", str(out / suite), "--store", store)
            session.run("taskmark", "run", "--suite", name, "--device", "cpu", *places, *options)
    failed = []
    for suite in GATES:
        sides = (f"tests/gate/{suite}.json", str(out / suite))
        files = {"--markdown": "md", "--junit": "xml", "--json": "json"}
        views = [word for option, end in files.items() for word in (option, f"{out / suite}.{end}")]
        try:
            session.run("taskmark", "compare", *sides, *views, *session.posargs)
        except nox.command.CommandFailed:
            failed.append(suite)
    if failed:
        session.error(f"What stands above is not the baseline of {' and '.join(failed)}.")


@nox.session
def timing(session: nox.Session) -> None:
    """Measure speed beside its floor; nothing is asserted.

    `-- --size 87500000` merges vectors of the size of ViT-B/32. `-- --peers` merges beside other
    libraries too; each gets an environment of its own, made by uv, since their pins exclude ours.
    `-- --compare` holds the medians against the run that was saved last on this machine, and fails
    where one is more than half as long again; the first time it saves. `-- --benchmark-save=NAME`
    saves anew.
    """
    install(session, "test")
    options = [option for option in session.posargs if option not in {"--peers", "--compare"}]
    if "--peers" in session.posargs:
        for name, requirement in PEERS.items():
            options += ["--peer", f"{name}={peer_python(session, name, requirement)}"]
    if "--compare" in session.posargs:
        options += against_saved(session)
    session.run("pytest", "tests/timing", "-m", "timing", "-s", *options)


def against_saved(session: nox.Session) -> list[str]:
    """Options of pytest-benchmark that compare with the saved run of this machine, or save one."""
    if os.environ.get("CI"):
        session.error("Times of a shared machine say nothing; compare them on one of your own.")
    storage = Path(".benchmarks", platform.node())
    options = [f"--benchmark-storage=file://{storage}"]
    if any(storage.rglob("*.json")):
        return [*options, "--benchmark-compare", "--benchmark-compare-fail=median:50%"]
    return [*options, "--benchmark-save=first"]


@nox.session
def parity(session: nox.Session) -> None:
    """Hold the methods against those of other libraries, on the same random models.

    It fails where results differ and tests/parity/cases.py does not say why.
    """
    install(session, "test")
    pythons = [f"{name}={peer_python(session, name, asked)}" for name, asked in PEERS.items()]
    session.run("python", "tests/parity/compare.py", *pythons)


def peer_python(session: nox.Session, name: str, requirement: str) -> Path:
    """The interpreter of an environment that holds one other library; it is made if need be."""
    folder = Path(session.virtualenv.location).with_name(f"timing-{name}")
    python = folder / "bin" / "python"
    if not python.exists():
        session.run("uv", "venv", str(folder), external=True)
    session.run("uv", "pip", "install", "--python", str(python), requirement, external=True)
    return python


@nox.session
def faults(session: nox.Session) -> None:
    """Kill, break, damage and race runs, and compare them with undisturbed ones; then fuzz.

    `-- --kills 1000 --chance 1` tries more, at other moments.
    """
    install(session, "test")
    kills = [] if "--kills" in session.posargs else ["--kills", "200"]
    session.run("pytest", "tests/faults", *kills, *session.posargs)
    session.run("pytest", "tests/fuzz", "--hypothesis-profile", "long")


@nox.session
def complete(session: nox.Session) -> None:
    """Run what takes minutes: each real suite whole at toy length, and `mini` against its hashes.

    It needs no network, and takes half an hour or more on two cores; `-- -k clip-8` runs a part.
    """
    install(session, "test")
    session.run("pytest", "-m", "complete", *session.posargs, env={"OMP_NUM_THREADS": "1"})


@nox.session
def browser(session: nox.Session) -> None:
    """Look at the leaderboard in the system's Chromium."""
    install(session, "test", "browser")
    session.run("pytest", "-m", "browser", *session.posargs)
