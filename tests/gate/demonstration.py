"""Plants faults into a copy of taskmark, and lists which the gate finds, and which only tests do.

    python tests/gate/demonstration.py OUT [--only methods/ties.py ...]

The list is OUT/mutations.md. Faults that concern different methods are planted together, since
each moves the rows of its own methods alone; what a fault does not concern comes from the store.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from planting import ROOT, Mutation, cell, methods_of, mutations, rounds

from taskmark.gate.compare import RunComparison, compare, rows_of
from taskmark.methods import get, names
from taskmark.reports import read_records
from taskmark.suite.suite_file import gate_of, load

FOLDERS = {"benchmark": "", "methods": "methods", "suites": "suites", "reports": "reports"}


def main() -> None:
    """Run all faults of the table, or those of the files named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="*", help="files of methods")
    arguments = parser.parse_args()
    chosen = [m for m in mutations() if not arguments.only or m.file in arguments.only]
    concerned = methods_of()
    out: Path = arguments.out.resolve()
    copy = out / "copy"
    copy_package(copy / "taskmark")
    suites = suites_for(set().union(*(concerned[mutation.file] for mutation in chosen)))
    run(copy, out, "clean", suites)
    found: dict[Mutation, str] = {}
    for number, group in enumerate(rounds(chosen, concerned)):
        originals = {m: (copy / "taskmark" / m.file).read_text("utf-8") for m in group}
        for mutation, text in originals.items():
            (copy / "taskmark" / mutation.file).write_text(mutation.planted(text), "utf-8")
        run(copy, out, f"round-{number}", suites)
        results = [held(out / "clean" / suite, out / f"round-{number}" / suite) for suite in suites]
        found |= {m: noticed(results, concerned[m.file]) for m in group}
        for mutation, text in originals.items():
            (copy / "taskmark" / mutation.file).write_text(text, "utf-8")
    for mutation in [m for m, finding in found.items() if not finding]:
        file = copy / "taskmark" / mutation.file
        text = file.read_text("utf-8")
        file.write_text(mutation.planted(text), "utf-8")
        found[mutation] = tested(copy, mutation, concerned[mutation.file])
        file.write_text(text, "utf-8")
    lines = ["| file | fault | what finds it |", "|---|---|---|"]
    lines += [f"| {m.file} | {cell(m)} | {found[m]} |" for m in chosen]
    (out / "mutations.md").write_text("\n".join(lines) + "\n", "utf-8")
    shutil.rmtree(copy)
    shutil.rmtree(out / "store")
    sys.stdout.write("\n".join(lines) + "\n")


def copy_package(target: Path) -> None:
    """Lay the folders out as they are installed; what PYTHONPATH names comes before any other."""
    shutil.rmtree(target, ignore_errors=True)
    for folder, name in FOLDERS.items():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, target / name, dirs_exist_ok=True, ignore=ignored)


def suites_for(methods: set[str]) -> dict[str, list[str]]:
    """The suites of the gate, with those of the methods that run there."""
    wanted = sorted(name for name in names() if name in methods and get(name).role == "competitor")
    n_tasks = len(load("gate").tasks)
    suites = {
        "gate": [name for name in wanted if get(name).takes(n_tasks)] or ["task_arithmetic"],
        "gate-pair": [name for name in wanted if not get(name).takes(n_tasks)],
    }
    return {suite: chosen for suite, chosen in suites.items() if chosen}


def run(copy: Path, out: Path, name: str, suites: dict[str, list[str]]) -> None:
    """Run suites by the copy."""
    for suite, methods in suites.items():
        options = [word for method in methods for word in ("--method", method)]
        places = ["--out", str(out / name / suite), "--store", str(out / "store")]
        code = "from taskmark.cli import main; main()"
        command = ["-c", code, "run", "--suite", suite, "--device", "cpu", *places, *options]
        sys.stdout.write(f"{name}: {suite}\n")
        sys.stdout.flush()
        done = subprocess.run(  # noqa: S603
            [sys.executable, *command],
            env=environment(copy),
            cwd=out,
            check=False,
            capture_output=True,
            text=True,
        )
        if not (out / name / suite / "records").is_dir():
            raise SystemExit(done.stderr)


def environment(copy: Path) -> dict[str, str]:
    """The environment in which `taskmark` is the copy."""
    return {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}


def held(before: Path, after: Path) -> RunComparison:
    """The comparison that the gate makes."""
    return compare(rows_of(read_records(before)), rows_of(read_records(after)), gate_of)


def noticed(results: list[RunComparison], methods: set[str]) -> str:
    """What the gate says of some methods; empty where it passes them."""
    moved = {c.row.method for result in results for c in result.changed_tasks} & methods
    gone = {key.method for result in results for key in (*result.broken, *result.missing)} & methods
    n_moved = sum(c.row.method in methods for result in results for c in result.changed_tasks)
    parts = []
    if moved:
        parts.append(f"{n_moved} accuracies of {', '.join(sorted(moved))}")
    if gone:
        parts.append(f"broken: {', '.join(sorted(gone))}")
    return f"gate: {'; '.join(parts)}" if parts else ""


def tested(copy: Path, mutation: Mutation, methods: set[str]) -> str:
    """Which test of the methods fails first; it is sought where their names stand."""
    words = {f'"{name}"' for name in methods}
    words |= {f"taskmark.methods.{stem} " for stem in (Path(mutation.file).stem, *methods)}
    files = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "tests/methods").glob("test_*.py"))
        if path.name == "test_vectors.py" or any(word in path.read_text("utf-8") for word in words)
    ]
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *files],
        env=environment(copy),
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return f"tests alone: {failed[0].split(' - ')[0].split(' ', 1)[1]}" if failed else "**nothing**"


if __name__ == "__main__":
    main()
