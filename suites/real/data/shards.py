"""Encoded images and their labels, out of Parquet files and tar archives, in chunks."""

from __future__ import annotations

import functools
import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
from pyarrow.lib import ArrowException

from taskmark.errors import TaskmarkError
from taskmark.suites.real.hub_files import anew

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from taskmark.suites.real.data.public_data_sets import DataSet

_TAR_CHUNK = 1000  # images; a Parquet chunk is a row group, which its writer chose


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of one file that are read together.

    Attributes:
        file: where they are.
        number: of the row group, or of the run of members of a tar archive.
        first: row of the split that its first row is.
        n_rows: how many it holds.
        image: name of the column, or suffix of the members, of images.
        label: likewise of labels.
    """

    file: Path
    number: int
    first: int
    n_rows: int
    image: str
    label: str


@dataclass(frozen=True, slots=True)
class Encoded:
    """The rows of a chunk: encoded images and their labels as they stand in the file."""

    images: list[bytes | None]
    labels: list[int | None]


def chunks(files: Sequence[Path], data: DataSet) -> list[Chunk]:
    """Cut the files of a split, in the order of their names, into chunks.

    Raises:
        TaskmarkError: if a file cannot be read or lacks a column.
    """
    list_one = _parquet_chunks if data.format == "parquet" else _tar_chunks
    found: list[Chunk] = []
    for file in sorted(files):
        first = found[-1].first + found[-1].n_rows if found else 0
        found += list_one(file, data, first)
    return found


def read(chunk: Chunk) -> Encoded:
    """Read the encoded images and the labels of a chunk.

    Raises:
        TaskmarkError: if the file cannot be read.
    """
    if chunk.file.suffix == ".tar":
        return _read_tar(chunk)
    try:
        with pq.ParquetFile(chunk.file) as table:
            rows = table.read_row_group(chunk.number, columns=[chunk.image, chunk.label])
    except (OSError, ArrowException) as error:
        raise _damaged(chunk.file, error) from error
    images = rows.column(chunk.image).to_pylist()
    return Encoded(
        [image.get("bytes") if isinstance(image, dict) else image for image in images],
        [None if label is None else int(label) for label in rows.column(chunk.label).to_pylist()],
    )


def class_names(files: Sequence[Path], data: DataSet, class_file: Path | None) -> tuple[str, ...]:
    """Class names in label order as the files have them; none if they have none.

    Raises:
        TaskmarkError: if they are not as many as the data set has classes.
    """
    if class_file is not None:
        names = tuple(class_file.read_text("utf-8").split("\n"))
        names = tuple(name.strip() for name in names if name.strip())
        source = class_file
    else:
        source = min(files)
        names = _names_in_footer(source, data)
    if names and len(names) != data.n_classes:
        raise TaskmarkError(
            f"{source.name} of {data.repository} names {len(names)} classes, not {data.n_classes}; "
            "it is another data set, or another version, than the definition means."
        )
    return names


def _parquet_chunks(file: Path, data: DataSet, first: int) -> Iterable[Chunk]:
    try:
        with pq.ParquetFile(file) as table:
            columns, metadata = table.schema_arrow.names, table.metadata
            sizes = [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)]
    except (OSError, ArrowException) as error:
        raise _damaged(file, error) from error
    image = _present(data.image_columns, columns, file, data)
    label = _present(data.label_columns, columns, file, data)
    for number, n_rows in enumerate(sizes):
        yield Chunk(file, number, first, n_rows, image, label)
        first += n_rows


def _tar_chunks(file: Path, data: DataSet, first: int) -> Iterable[Chunk]:
    samples = _samples(file)
    suffixes = sorted({suffix for sample in samples for suffix in sample})
    image = _present(data.image_columns, suffixes, file, data)
    label = _present(data.label_columns, suffixes, file, data)
    for number, start in enumerate(range(0, len(samples), _TAR_CHUNK)):
        n_rows = min(_TAR_CHUNK, len(samples) - start)
        yield Chunk(file, number, first + start, n_rows, image, label)


def _read_tar(chunk: Chunk) -> Encoded:
    start = chunk.number * _TAR_CHUNK
    images: list[bytes | None] = []
    labels: list[int | None] = []
    with chunk.file.open("rb") as stream:

        def content(place: tuple[int, int] | None) -> bytes | None:
            if place is None:
                return None
            stream.seek(place[0])
            return stream.read(place[1])

        for sample in _samples(chunk.file)[start : start + chunk.n_rows]:
            images.append(content(sample.get(chunk.image)))
            label = content(sample.get(chunk.label))
            labels.append(int(label) if label and label.strip().isdigit() else None)
    return Encoded(images, labels)


@functools.lru_cache(maxsize=4)
def _samples(file: Path) -> list[dict[str, tuple[int, int]]]:
    """The samples of an archive in its order: suffix -> (offset, size) of the member."""
    found: dict[str, dict[str, tuple[int, int]]] = {}
    try:
        with tarfile.open(file, "r:") as archive:
            for member in archive:
                if member.isfile():
                    stem, _, suffix = member.name.rpartition(".")
                    found.setdefault(stem, {})[suffix] = (member.offset_data, member.size)
    except (OSError, tarfile.TarError) as error:
        raise _damaged(file, error) from error
    return list(found.values())


def _names_in_footer(file: Path, data: DataSet) -> tuple[str, ...]:
    if data.format != "parquet":
        return ()
    metadata: dict[bytes, bytes] = pq.read_schema(file).metadata or {}
    try:
        features: dict[str, Any] = json.loads(metadata[b"huggingface"])["info"]["features"]
        labels = [features[name] for name in data.label_columns if name in features]
        return tuple(map(str, labels[0]["names"]))
    except (KeyError, IndexError, TypeError, ValueError):
        return ()


def _present(names: Sequence[str], there: Sequence[str], file: Path, data: DataSet) -> str:
    for name in names:
        if name in there:
            return name
    raise TaskmarkError(
        f"{file.name} of {data.repository} has the columns {', '.join(there) or 'none'}, but not "
        f"{' or '.join(names)}; lock the commit that the definition was written for."
    )


def _damaged(file: Path, error: Exception) -> TaskmarkError:
    reason = " ".join(str(error).split())[:200]
    return TaskmarkError(f"{file} cannot be read ({reason}); {anew(file, 'taskmark data fetch')}.")
