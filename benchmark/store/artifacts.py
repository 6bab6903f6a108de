"""The store: artifacts under the hash of everything that made them, verified when read."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from safetensors import SafetensorError, safe_open

from taskmark.atomic_files import remove_file, write_atomically
from taskmark.errors import CorruptArtifactError, TaskmarkError
from taskmark.store.address import folder_of, parse_address
from taskmark.store.image_files import ImageFile, MissingImagesError
from taskmark.store.recording import Account, current_account, recording

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from torch import Tensor

    from taskmark.store.tensor_file import Written

TENSORS, FACTS, DAMAGED = ".safetensors", ".json", ".damaged"

_Stamp: TypeAlias = tuple[int, int, int]  # what changes when a file does


@dataclass(frozen=True, slots=True)
class Artifact:
    """Tensors and facts under one key.

    The tensors are mapped from the file, private to the process and to this object: whoever writes
    to them changes neither the file nor what others see.

    Attributes:
        tensors: by name, images in files of their own among them.
        facts: JSON values.
        image_files: those files, by the name of the tensor.
    """

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]
    image_files: Mapping[str, ImageFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """How an artifact was made.

    Attributes:
        label: what progress showed meanwhile.
        uses: "kind/key" of what it was made from.
        notes: what must be said of it, such as that it was short of memory.
    """

    label: str
    uses: tuple[str, ...]
    notes: tuple[str, ...]


class Store:
    """A folder of artifacts, `<kind>/<key>.safetensors` and `<kind>/<key>.json`.

    The JSON file is written last. It holds the facts, how the artifact was made, and the SHA-256 of
    both and of the other file, so an artifact is there whole or not at all. Images that are too
    many to be copied stay in files that the JSON file names and whose changes are noticed.

    Attributes:
        root: what a user named.
        folder: in the root; everything of this version is in it.
        n_read: how often each artifact, "kind/key", was asked for.
        n_hashed: how often its bytes were read and hashed for that.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, folder_of(root)
        self.n_read: Counter[str] = Counter()
        self.n_hashed: Counter[str] = Counter()
        self._verified: dict[str, tuple[_Stamp, _Stamp]] = {}

    @classmethod
    def open(cls, address: str | Path) -> Store:
        """Open the store at a path or at a file:// URL.

        Raises:
            TaskmarkError: if the address is of another kind.
        """
        return cls(parse_address(address))

    def __reduce__(self) -> tuple[type[Store], tuple[Path]]:
        return Store, (self.root,)  # another process verifies for itself

    @staticmethod
    def recording(label: str) -> AbstractContextManager[Account]:
        """Record what is read and noted within the block; what it writes keeps that.

        Args:
            label: what progress shows meanwhile.
        """
        return recording(label)

    def has(self, kind: str, key: str) -> bool:
        """Whether the artifact was made."""
        return self._facts(kind, key).is_file()

    def put(
        self,
        kind: str,
        key: str,
        tensors: Mapping[str, Written],
        facts: Mapping[str, Any],
        *,
        image_files: Mapping[str, ImageFile] | None = None,
    ) -> None:
        """Write an artifact, whole or not at all.

        Args:
            kind: of artifact.
            key: of the artifact.
            tensors: by name; no second copy of one is made in memory.
            facts: JSON values.
            image_files: tensors by name that stay where they are.

        Raises:
            TaskmarkError: if the disk is full or the folder cannot be written.
        """
        from taskmark.store.tensor_file import pieces  # noqa: PLC0415 - imports torch

        total = hashlib.sha256()
        write_atomically(self._tensors(kind, key), _hash_pieces(pieces(tensors), total))
        account = current_account()  # only now, since rows may be read while they are written
        made = {"label": account.label, "uses": list(account.uses), "notes": list(account.notes)}
        content: dict[str, Any] = {"facts": dict(facts), "made": made}
        if image_files:
            content["image_files"] = {name: asdict(file) for name, file in image_files.items()}
        sidecar = {"sha256": _digest(total, content), **content}
        write_atomically(self._facts(kind, key), json.dumps(sidecar).encode())

    def get(self, kind: str, key: str) -> Artifact:
        """Read an artifact; its bytes are hashed when this process first reads them.

        Raises:
            CorruptArtifactError: if the bytes are not what was written; the artifact is set aside.
            TaskmarkError: if it was never made.
        """
        if not self.has(kind, key):
            raise TaskmarkError(
                f"The store {str(self.root)!r} has no {kind} {key[:12]}; run again to make it."
            )
        name = f"{kind}/{key}"
        with self._set_aside_if_damaged(kind, key):
            stamps = self._stamps(kind, key)  # before anything is read, so that a change shows
            if self._verified.get(name) == stamps:
                sidecar = _read_sidecar(self._facts(kind, key))
            else:
                sidecar = self._read_and_hash(kind, key)
                self.n_hashed[name] += 1
            with safe_open(self._tensors(kind, key), framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            image_files = _image_files(sidecar)
            for images, own in image_files.items():
                tensors[images] = own.map(tensors[own.labels])
        self._verified[name] = stamps
        self.n_read[name] += 1
        current_account().add_use(name, sidecar["made"]["notes"])
        return Artifact(tensors, sidecar["facts"], image_files)

    def verify(self, kind: str, key: str, *, verified: set[ImageFile] | None = None) -> None:
        """Read every byte of an artifact and of its image files.

        Args:
            kind: of artifact.
            key: of the artifact.
            verified: image files that were read and need not be again; added to.

        Raises:
            CorruptArtifactError: if they are not what was written; the artifact is set aside.
        """
        with self._set_aside_if_damaged(kind, key):
            image_files = _image_files(self._read_and_hash(kind, key))
            with safe_open(self._tensors(kind, key), framework="pt") as file:
                for own in image_files.values():
                    if verified is None or own not in verified:
                        own.verify(file.get_tensor(own.labels))
            if verified is not None:
                verified.update(image_files.values())

    def read_facts(self, kind: str, key: str) -> Made:
        """How an artifact was made.

        Raises:
            CorruptArtifactError: if that cannot be read; the artifact is set aside.
        """
        with self._set_aside_if_damaged(kind, key):
            made = _read_sidecar(self._facts(kind, key))["made"]
            return Made(str(made["label"]), tuple(made["uses"]), tuple(made["notes"]))

    def remove(self, kind: str, key: str) -> None:
        """Remove an artifact, if it is there.

        Raises:
            TaskmarkError: if the folder cannot be written.
        """
        for path in self.files(kind, key):
            remove_file(path)

    def files(self, kind: str, key: str) -> tuple[Path, Path]:
        """The files of an artifact; the first is the one that says that it is there."""
        return self._facts(kind, key), self._tensors(kind, key)

    def keys(self, kind: str) -> list[str]:
        """The keys of a kind of which any file is there, whole or not."""
        names = (path.name for path in self.folder.glob(f"{kind}/[!.]*"))
        parts = (name.rpartition(".") for name in names)
        return sorted({key for key, _, end in parts if f".{end}" in (TENSORS, FACTS)})

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """The kind and key of every artifact, in order."""
        for path in sorted(self.folder.glob(f"*/*{FACTS}")):
            yield path.parent.name, path.name.removesuffix(FACTS)

    def _read_and_hash(self, kind: str, key: str) -> dict[str, Any]:
        sidecar = _read_sidecar(self._facts(kind, key))
        with self._tensors(kind, key).open("rb") as file:
            found = _digest(hashlib.file_digest(file, "sha256"), sidecar)
        if found != sidecar["sha256"]:
            raise ValueError(f"its hash is {found[:12]} instead of {sidecar['sha256'][:12]}")
        return sidecar

    def _stamps(self, kind: str, key: str) -> tuple[_Stamp, _Stamp]:
        facts, tensors = (path.stat() for path in self.files(kind, key))
        return (
            (facts.st_ino, facts.st_size, facts.st_mtime_ns),
            (tensors.st_ino, tensors.st_size, tensors.st_mtime_ns),
        )

    @contextlib.contextmanager
    def _set_aside_if_damaged(self, kind: str, key: str) -> Iterator[None]:
        try:
            yield
        except PermissionError as error:  # nobody knows then whether it is damaged
            raise TaskmarkError(
                f"The stored {kind} {error.filename} cannot be read ({error.strerror}); "
                "make it readable."
            ) from error
        except MissingImagesError as error:
            # Whoever moved the images wants them read from their new place, and what is kept here
            # names the old one; it is soon made again, since the images are not copied.
            for path in self.files(kind, key):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
            raise _corrupt(
                f"{kind}/{key}",
                f"The images {error.filename}, which the stored {kind} {key[:12]} refers to, are "
                "not there any more; the next run refers to them where they are now "
                "(`taskmark data fetch` gets them if they are nowhere).",
            ) from error
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            RecursionError,
            OSError,
            SafetensorError,
        ) as error:
            for path in self.files(kind, key):
                with contextlib.suppress(OSError):
                    path.replace(path.with_name(f"{path.name}{DAMAGED}"))
            raise _corrupt(
                f"{kind}/{key}",
                f"The stored {kind} {self._tensors(kind, key)} is damaged ({error}); "
                "it was set aside as .damaged and is made again by the next run.",
            ) from error

    def _tensors(self, kind: str, key: str) -> Path:
        return self.folder / kind / f"{key}{TENSORS}"

    def _facts(self, kind: str, key: str) -> Path:
        return self.folder / kind / f"{key}{FACTS}"


def _corrupt(artifact: str, sentence: str) -> CorruptArtifactError:
    error = CorruptArtifactError(sentence)
    error.artifact = artifact
    return error


def _read_sidecar(path: Path) -> dict[str, Any]:
    sidecar: dict[str, Any] = json.loads(path.read_bytes())
    return sidecar


def _image_files(sidecar: Mapping[str, Any]) -> dict[str, ImageFile]:
    return {name: ImageFile(**file) for name, file in sidecar.get("image_files", {}).items()}


def _hash_pieces(content: Iterable[bytes | memoryview], total: Any) -> Iterator[bytes | memoryview]:
    for piece in content:
        total.update(piece)
        yield piece


def _digest(total: Any, content: Mapping[str, Any]) -> str:
    """Add what the JSON file holds to the hash of the tensors."""
    parts = [content[name] for name in ("facts", "made", "image_files") if name in content]
    total.update(json.dumps(parts).encode())
    return str(total.hexdigest())
