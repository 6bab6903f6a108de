"""Messages between a run and the process of a plug-in: JSON and safetensors, nothing that runs."""

from __future__ import annotations

import contextlib
import json
import math
import mmap
import os
import socket
import struct
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from taskmark.store.in_file import InFile, VerifiedFile

# What a run tells the server of processes, one byte each, and what that answers: STARTED with the
# process, ENDED with its status, the seconds of CPU it took, the bytes its memory grew by.
START, KILL = b"S", b"K"
STARTED, ENDED = b"s", b"e"
REPORT = struct.Struct("!cqdq")

_LENGTHS = struct.Struct("!QQ")  # bytes of JSON, and bytes of tensors or number of files
_ALIGNMENT = 64  # bytes, of a line of the cache
_CHUNK = 1 << 20
_MOST_JSON = 16 << 20
_MOST_FILES = 64  # of a message; Linux lets 253 travel at once


class WireError(Exception):
    """A message that is too long, or no message at all."""


@dataclass(frozen=True, slots=True)
class Message:
    """What one side says to the other: JSON values, and tensors by name."""

    facts: dict[str, Any]
    tensors: dict[str, Tensor]


def send(line: socket.socket, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Send a message with its tensors in it.

    Raises:
        OSError: if the other side is gone.
    """
    plain = {name: _plain(tensor) for name, tensor in tensors.items()}
    places = {name: tensor.data_ptr() % _ALIGNMENT for name, tensor in plain.items()}
    # safetensors refuses what shares memory.
    pointers = [tensor.untyped_storage().data_ptr() for tensor in plain.values()]
    own = {
        name: tensor.clone() if pointers.count(tensor.untyped_storage().data_ptr()) > 1 else tensor
        for name, tensor in plain.items()
    }
    content = save(own) if own else b""
    body = json.dumps({"facts": facts, "places": places}).encode()
    line.sendall(_LENGTHS.pack(len(body), len(content)) + body)
    line.sendall(content)


def receive(line: socket.socket, *, most_bytes: int) -> Message:
    """Receive what `send` sent; the other side need not be trusted.

    Args:
        line: a socket, whose time limit holds for each piece.
        most_bytes: of tensors that may come.

    Raises:
        WireError: if it is no message, or a longer one.
        OSError: if the other side is gone or silent.
    """
    n_body, n_content = _LENGTHS.unpack(_exactly(line, _LENGTHS.size))
    if n_body > _MOST_JSON or n_content > most_bytes:
        raise WireError(f"a message of {n_body + n_content} bytes")
    facts, places = _parts(_exactly(line, n_body), "facts", "places")
    content = bytes(_exactly(line, n_content))
    try:
        tensors = load(content) if content else {}
        return Message(facts, {name: _placed(t, int(places[name])) for name, t in tensors.items()})
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise WireError("something that is no safetensors file") from error


def send_mapped(
    line: socket.socket,
    facts: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    files: Mapping[str, InFile] | None = None,
) -> None:
    """Send a message whose tensors the other side maps from files.

    Where a file holds nothing but tensors of this message, it is opened for reading and handed
    over as it is. All other tensors are copied to a file that has no name.

    Args:
        line: a socket.
        facts: JSON values.
        tensors: by name.
        files: where tensors lie that are mapped from a file, by name.

    Raises:
        TaskmarkError: if a file that is to be handed over was changed since it was verified.
        OSError: if the other side is gone.
    """
    places = files or {}
    whole = _whole(tensors, places)
    layout = {}
    end = 0
    with contextlib.ExitStack() as opened:
        file = opened.enter_context(_nameless_file())
        handles = [file.fileno()]
        for own in whole:
            handles.append(own.open())
            opened.callback(os.close, handles[-1])
        for name, tensor in tensors.items():
            if name in places and places[name].file in whole:
                number, start = 1 + whole.index(places[name].file), places[name].start
            else:
                plain = _plain(tensor)
                number, start = 0, end + (plain.data_ptr() - end) % _ALIGNMENT
                if plain.nbytes:
                    file.seek(start)
                    file.write(plain.reshape(-1).view(torch.uint8).numpy().data)
                    end = file.tell()
            kind = str(tensor.dtype).removeprefix("torch.")
            layout[name] = number, kind, tensor.shape, start
        file.flush()
        body = json.dumps({"facts": facts, "layout": layout}).encode()
        # The files travel with the first bytes.
        socket.send_fds(line, [_LENGTHS.pack(len(body), len(handles))], handles)
        line.sendall(body)


def _whole(tensors: Mapping[str, Tensor], places: Mapping[str, InFile]) -> list[VerifiedFile]:
    """The files that these tensors fill; whoever has a file can read all of it."""
    held: dict[VerifiedFile, list[tuple[int, int]]] = {}
    for name in tensors.keys() & places.keys():
        tensor, place = tensors[name], places[name]
        aligned = tensor.data_ptr() % _ALIGNMENT == place.start % _ALIGNMENT
        if aligned and tensor.is_contiguous():
            held.setdefault(place.file, []).append((place.start, tensor.nbytes))
    whole = [file for file, extents in held.items() if _fills(extents, file)]
    return whole[: _MOST_FILES - 1]


def _fills(extents: list[tuple[int, int]], file: VerifiedFile) -> bool:
    end = file.header
    for start, n_bytes in sorted(extents):
        if start != end:
            return False
        end += n_bytes
    return end == file.n_bytes


def receive_mapped(line: socket.socket) -> Message:
    """Receive what `send_mapped` sent; whoever writes to the tensors changes only a copy.

    Raises:
        WireError: if it is no message.
        OSError: if the other side is gone.
    """
    head, files, _, _ = socket.recv_fds(line, _LENGTHS.size, _MOST_FILES)
    try:
        n_body, n_files = _LENGTHS.unpack(head + _exactly(line, _LENGTHS.size - len(head)))
        if len(files) != n_files:  # more than this process may have open
            raise WireError(f"a message with {len(files)} of its {n_files} files")
        facts, layout = _parts(_exactly(line, n_body), "facts", "layout")
        contents = [
            mmap.mmap(handle, 0, access=mmap.ACCESS_COPY) if os.fstat(handle).st_size else b""
            for handle in files
        ]
    finally:
        for handle in files:
            os.close(handle)
    return Message(
        facts,
        {name: _mapped(contents[number], *how) for name, (number, *how) in layout.items()},
    )


def _mapped(content: mmap.mmap | bytes, kind: str, shape: list[int], start: int) -> Tensor:
    dtype: torch.dtype = getattr(torch, kind)
    count = math.prod(shape)
    if not count:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(content, dtype=dtype, count=count, offset=start).view(shape)


def _placed(tensor: Tensor, place: int) -> Tensor:
    # Products of matrices depend, in their last bits, on how their memory is aligned.
    room = torch.empty(tensor.nbytes + _ALIGNMENT, dtype=torch.uint8)
    start = (place - room.data_ptr()) % _ALIGNMENT
    if start % tensor.element_size():
        raise ValueError("no tensor lies there")
    copy = room[start : start + tensor.nbytes].view(tensor.dtype).view(tensor.shape)
    return copy.copy_(tensor)


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()


def _exactly(line: socket.socket, size: int) -> bytearray:
    # Grown as it comes, so that a length alone claims no memory.
    content = bytearray()
    while len(content) < size:
        piece = line.recv(min(_CHUNK, size - len(content)))
        if not piece:
            raise ConnectionResetError("the line ended")
        content += piece
    return content


def _parts(body: bytearray, *names: str) -> list[dict[str, Any]]:
    try:
        whole = json.loads(body)
        parts = [whole[name] for name in names]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WireError("something that is no message") from error
    if not all(isinstance(part, dict) for part in parts):
        raise WireError("something that is no message")
    return parts


def _nameless_file() -> Any:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("taskmark"), "w+b")
    return tempfile.TemporaryFile()
