"""Small data sets in the formats of the hub, and its cache with them in it."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub.file_download import publish_blob_to_shared_store
from PIL import Image

from taskmark.suites.real.data.data_lock import LockedDataSet, write_lock
from taskmark.suites.real.data.tasks import Place

if TYPE_CHECKING:
    from pathlib import Path

REVISION = "0123456789abcdef0123456789abcdef01234567"
N_ROWS = {"train": 30, "test": 8}
ROWS_A_GROUP = 5  # of a parquet file; the hub has a hundred and more


@dataclass(frozen=True)
class Made:
    """A data set that was made: its files by path, and what is in them."""

    files: dict[str, bytes]
    images: dict[str, list[bytes]]
    labels: dict[str, list[int]]


def picture(rng, side, form="png"):
    """An encoded image; not square if the data set does not want a side."""
    wide, high = (side, side) if side else rng.integers(40, 70, 2)
    coarse = rng.integers(0, 256, (6, 7, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((int(wide), int(high)), Image.Resampling.BICUBIC)
    with io.BytesIO() as stream:
        image.save(stream, form)
        return stream.getvalue()


def make(data, *, seed=0, names=None, corrupt=None):
    """Files of a data set with its own columns and patterns.

    `corrupt` takes (split, row, encoded, label) and gives what stands in the file instead.
    """
    rng = np.random.default_rng(seed)
    names = names or [f"kind_{k}" for k in range(data.n_classes)]
    files, images, labels = {}, {}, {}
    for split, n_rows in N_ROWS.items():
        form = "jpeg" if data.format == "tar" else "png"
        rows = [
            (picture(rng, data.native_size, form), int(rng.integers(data.n_classes)))
            for _ in range(n_rows)
        ]
        if corrupt:
            rows = [corrupt(split, k, *row) for k, row in enumerate(rows)]
        images[split], labels[split] = map(list, zip(*rows, strict=True))
        (pattern,) = data.files[split]
        half = n_rows // 2
        for part, piece in enumerate((rows[:half], rows[half:])):
            if data.format == "tar":
                files[pattern.replace("*", str(part))] = tar(piece, data)
            else:
                path = pattern.replace("*", f"{part:05d}-of-00002")
                files[path] = parquet(piece, data, names)
    if data.class_file:
        files[data.class_file] = "\n".join(names).encode()
    return Made(files, images, labels)


def parquet(rows, data, names):
    image, label = data.image_columns[-1], data.label_columns[0]
    table = pa.table(
        {
            image: [{"bytes": content, "path": None} for content, _ in rows],
            label: pa.array([value for _, value in rows], pa.int64()),
        }
    )
    features = {image: {"_type": "Image"}, label: {"names": names, "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    stream = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), stream, row_group_size=ROWS_A_GROUP)
    return stream.getvalue()


def tar(rows, data):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for k, (content, label) in enumerate(rows):
            members = {data.image_columns[0]: content, data.label_columns[0]: f"{label}\n".encode()}
            for suffix, body in members.items():
                info = tarfile.TarInfo(f"s{k:06d}.{suffix}")
                info.size = len(body)
                archive.addfile(info, io.BytesIO(body))
    return stream.getvalue()


def fill(
    cache: Path,
    repository: str,
    files: dict[str, bytes],
    revision=REVISION,
    kind="datasets",
    *,
    shared=False,
) -> Path:
    """Lay files into a cache as the hub's library does; the folder of the snapshot.

    With `shared`, blobs are links to the store of all repositories, made by the library itself.
    """
    root = cache / f"{kind}--{repository.replace('/', '--')}"
    snapshot = root / "snapshots" / revision
    (root / "blobs").mkdir(parents=True, exist_ok=True)
    (root / "refs").mkdir(exist_ok=True)
    (root / "refs" / "main").write_text(revision)
    for path, content in files.items():
        blob = root / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / path).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / path).symlink_to(blob)
        if shared:
            assert publish_blob_to_shared_store(
                blob_path=str(blob),
                xet_hash=hashlib.blake2s(content).hexdigest(),
                cache_dir=cache,
                expected_size=len(content),
            )
            assert blob.is_symlink()
    return snapshot


def place_of(folder: Path, tasks, **changes) -> Place:
    """A place under a folder whose lock names the fixtures' commit for these tasks."""
    lock = folder / "datasets.lock.toml"
    write_lock(
        {task: replace_lock(LockedDataSet(revision=REVISION), **changes) for task in tasks}, lock
    )
    return Place(lock=lock, arrays=folder / "arrays", cache=folder / "hub")


def replace_lock(lock, **changes):
    return lock.model_copy(update=changes)
