"""The store: artifacts under the hash of everything that made them, verified when read."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from taskmark.errors import CorruptArtifactError, TaskmarkError
from taskmark.store import tensor_file
from taskmark.store.durable import atomic_write, remove
from taskmark.store.in_file import InFile, VerifiedFile
from taskmark.store.lineage import read_from, under_way
from taskmark.store.outside import GoneError, Outside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from torch import Tensor

    from taskmark.store.tensor_file import Written

TENSORS, FACTS, DAMAGED = ".safetensors", ".json", ".damaged"
_LOCKS = "locks"


@dataclass(frozen=True, slots=True)
class Artifact:
    """Tensors and facts under one key.

    The tensors are mapped from the file, private to the process: whoever writes to them changes
    neither the file nor what others see.

    Attributes:
        tensors: by name, those among them that lie outside of the store.
        facts: JSON values.
        outside: where those lie that do.
        places: where in which file each tensor lies, by name.
    """

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]
    outside: Mapping[str, Outside] = field(default_factory=dict)
    places: Mapping[str, InFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """How an artifact was made.

    Attributes:
        label: what a person was told meanwhile.
        uses: "kind/key" of what it was made from.
        notes: what must be said of it, such as that it was short of memory.
    """

    label: str
    uses: tuple[str, ...]
    notes: tuple[str, ...]


class Store:
    """A folder of artifacts, `<root>/<kind>/<key>.safetensors` beside `<key>.json`.

    The JSON file is written last. It holds the facts, how the artifact was made, and the SHA-256 of
    both and of the other file, so an artifact is there whole or not at all. Images that are too
    many to be copied stay outside, in files that the JSON file names and whose changes are noticed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def locks(self) -> Path:
        """The folder of the locks of those who make artifacts."""
        return self.root / _LOCKS

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
        outside: Mapping[str, Outside] | None = None,
    ) -> None:
        """Write an artifact, whole or not at all.

        Args:
            kind: of artifact.
            key: of the artifact.
            tensors: by name; no second copy of one is made in memory.
            facts: JSON values.
            outside: tensors by name that stay where they are.

        Raises:
            TaskmarkError: if the disk is full or the folder cannot be written.
        """
        total = hashlib.sha256()
        atomic_write(self._tensors(kind, key), _hashed(tensor_file.pieces(tensors), total))
        account = under_way()  # only now, since rows may be read while they are written
        made = {"label": account.label, "uses": list(account.uses), "notes": list(account.notes)}
        told: dict[str, Any] = {"facts": dict(facts), "made": made}
        if outside:
            told["outside"] = {name: asdict(place) for name, place in outside.items()}
        sidecar = {"sha256": _digest(total, told), **told}
        atomic_write(self._facts(kind, key), json.dumps(sidecar).encode())

    def get(self, kind: str, key: str) -> Artifact:
        """Read an artifact and verify its hash.

        Raises:
            CorruptArtifactError: if the bytes are not what was written; the artifact is set aside.
            TaskmarkError: if it was never made.
        """
        if not self.has(kind, key):
            raise TaskmarkError(
                f"The store {str(self.root)!r} has no {kind} {key[:12]}; run again to make it."
            )
        path = self._tensors(kind, key)
        with self._set_aside_if_damaged(kind, key):
            status = path.stat()  # before it is read, so that a later change shows
            sidecar = self._verified(kind, key)
            with safe_open(path, framework="pt") as file:  # refuses a header that is none
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            header, starts = tensor_file.places(path)
            own = VerifiedFile.of(str(path), status, header=header)
            places = {name: InFile(own, start) for name, start in starts.items()}
            outside = _outside(sidecar)
            for name, images in outside.items():
                tensors[name], places[name] = images.mapped(tensors[images.labels])
        read_from(f"{kind}/{key}", sidecar["made"]["notes"])
        return Artifact(tensors, sidecar["facts"], outside, places)

    def verify(self, kind: str, key: str, *, whole: set[Outside] | None = None) -> None:
        """Read every byte of an artifact, outside of the store as well.

        Args:
            kind: of artifact.
            key: of the artifact.
            whole: what was read outside and found whole, which is not read again; added to.

        Raises:
            CorruptArtifactError: if they are not what was written; the artifact is set aside.
        """
        with self._set_aside_if_damaged(kind, key):
            outside = _outside(self._verified(kind, key))
            with safe_open(self._tensors(kind, key), framework="pt") as file:
                for own in outside.values():
                    if whole is None or own not in whole:
                        own.verify(file.get_tensor(own.labels))
            if whole is not None:
                whole.update(outside.values())

    def made(self, kind: str, key: str) -> Made:
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
            remove(path)

    def files(self, kind: str, key: str) -> tuple[Path, Path]:
        """The files of an artifact; the first is the one that says that it is there."""
        return self._facts(kind, key), self._tensors(kind, key)

    def keys(self, kind: str) -> list[str]:
        """The keys of a kind of which any file is there, whole or not."""
        names = (path.name for path in self.root.glob(f"{kind}/[!.]*"))
        parts = (name.rpartition(".") for name in names)
        return sorted({key for key, _, end in parts if f".{end}" in (TENSORS, FACTS)})

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """The kind and key of every artifact, in order."""
        for path in sorted(self.root.glob(f"*/*{FACTS}")):
            yield path.parent.name, path.name.removesuffix(FACTS)

    def _verified(self, kind: str, key: str) -> dict[str, Any]:
        sidecar = _read_sidecar(self._facts(kind, key))
        with self._tensors(kind, key).open("rb") as file:
            found = _digest(hashlib.file_digest(file, "sha256"), sidecar)
        if found != sidecar["sha256"]:
            raise ValueError(f"its hash is {found[:12]} instead of {sidecar['sha256'][:12]}")
        return sidecar

    @contextlib.contextmanager
    def _set_aside_if_damaged(self, kind: str, key: str) -> Iterator[None]:
        try:
            yield
        except PermissionError as error:  # nobody knows then whether it is damaged
            raise TaskmarkError(
                f"The stored {kind} {error.filename} cannot be read ({error.strerror}); "
                "make it readable."
            ) from error
        except GoneError as error:
            # Whoever moved the images wants them read from their new place, and what is kept here
            # names the old one; it is soon made again, since the images are not copied.
            for path in self.files(kind, key):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
            gone = CorruptArtifactError(
                f"The images {error.filename}, which the stored {kind} {key[:12]} refers to, are "
                "not there any more; the next run refers to them where they are now "
                "(`taskmark data fetch` gets them if they are nowhere)."
            )
            gone.artifact = f"{kind}/{key}"
            raise gone from error
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
            corrupt = CorruptArtifactError(
                f"The stored {kind} {self._tensors(kind, key)} is damaged ({error}); "
                "it was set aside as .damaged and is made again by the next run."
            )
            corrupt.artifact = f"{kind}/{key}"
            raise corrupt from error

    def _tensors(self, kind: str, key: str) -> Path:
        return self.root / kind / f"{key}{TENSORS}"

    def _facts(self, kind: str, key: str) -> Path:
        return self.root / kind / f"{key}{FACTS}"


def _read_sidecar(path: Path) -> dict[str, Any]:
    sidecar: dict[str, Any] = json.loads(path.read_bytes())
    return sidecar


def _outside(sidecar: Mapping[str, Any]) -> dict[str, Outside]:
    return {name: Outside(**place) for name, place in sidecar.get("outside", {}).items()}


def _hashed(content: Iterable[bytes | memoryview], total: Any) -> Iterator[bytes | memoryview]:
    for piece in content:
        total.update(piece)
        yield piece


def _digest(total: Any, told: Mapping[str, Any]) -> str:
    """Add what is told about the tensors to their hash."""
    parts = [told[name] for name in ("facts", "made", "outside") if name in told]
    total.update(json.dumps(parts).encode())
    return str(total.hexdigest())
