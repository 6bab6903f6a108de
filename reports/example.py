"""A published example: committed records, and what the pages made from them must be.

`python -m taskmark.reports.example examples/mini-1.0` renews its list of hashes; `--source results`
first takes the records, and the catalogue, that a run left there.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path  # noqa: TC003 - typer looks at the annotations
from typing import Annotated

import typer

from taskmark.errors import TaskmarkError
from taskmark.reports.building import read_content
from taskmark.reports.manifest import manifest_bytes, read_manifest, sha256
from taskmark.reports.site import site_files
from taskmark.reports.writing import write

HASHES = "site.sha256"
"""Name of the list of hashes, beside the records."""

RUN = ("records", "disentanglement", "negation", "localisation", "catalogue")
"""Folders of what a run writes and the site reads."""

# Their bytes, or their last digits, hang on versions of libraries and on the processor; the page of
# data says how large such files are.
_BY_LIBRARIES = (".parquet", "record.schema.json", "findings.json", "data.html")
_DRAWING = re.compile(rb"<svg.*?</svg>", re.DOTALL)


def hashes(folder: Path) -> dict[str, str]:
    """Render the site of a folder of records, and hash what hangs on records and templates alone.

    Tables in parquet, the schema, the unrounded findings and the page that lists them are left out,
    and so are drawings within pages.

    Returns:
        Path within the site -> SHA-256 of the file without its drawings.

    Raises:
        TaskmarkError: if a record is not to be trusted.
    """
    return {
        file.path: sha256(_DRAWING.sub(b"", file.content))
        for file in site_files(read_content(folder))
        if not file.path.endswith(_BY_LIBRARIES)
    }


def differences(folder: Path) -> list[str]:
    """What the site of an example is otherwise than its list of hashes says, a sentence each.

    Raises:
        TaskmarkError: if a record or the list is not to be trusted.
    """
    listed, made = read_manifest(folder / HASHES), hashes(folder)
    sentences = [f"{path} is made no more." for path in sorted(listed.keys() - made.keys())]
    sentences += [f"{path} is new." for path in sorted(made.keys() - listed.keys())]
    shared = sorted(listed.keys() & made.keys())
    return sentences + [f"{path} has changed." for path in shared if listed[path] != made[path]]


def renew(folder: Path, source: Path | None = None) -> int:
    """Write the list of hashes of an example.

    Args:
        folder: of the example.
        source: a folder that a run wrote to; its records replace those of the example.

    Returns:
        The number of files on the list.

    Raises:
        TaskmarkError: if there are no records, one is not to be trusted, or a file cannot be
            written.
    """
    origin = source or folder
    if not (origin / "records").is_dir():
        raise TaskmarkError(
            f"There are no records in {str(origin)!r}; give the folder of an example, and with "
            "--source one that a run wrote to."
        )
    if source is not None and source.resolve() != folder.resolve():
        read_content(source)  # nothing is replaced by records that are not to be trusted
        for name in RUN:
            shutil.rmtree(folder / name, ignore_errors=True)
            for file in sorted((source / name).rglob("*")):
                if file.is_file() and not file.name.startswith("."):
                    write(folder / file.relative_to(source), file.read_bytes(), synced=False)
    made = hashes(folder)
    write(folder / HASHES, manifest_bytes(made))
    return len(made)


def main(
    folder: Annotated[Path, typer.Argument(help="Of the example, such as examples/mini-1.0.")],
    source: Annotated[
        Path | None, typer.Option(help="Take the records of a run from here.")
    ] = None,
) -> None:
    """Renew the list of hashes of a published example."""
    try:
        number = renew(folder, source)
    except TaskmarkError as error:
        raise SystemExit(str(error)) from error
    typer.echo(f"{folder / HASHES} lists {number} files.")


if __name__ == "__main__":
    typer.run(main)
