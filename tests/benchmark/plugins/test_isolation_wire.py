"""Messages to and from the process of a plug-in."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading

import numpy as np
import pytest
import torch
from safetensors.torch import save

from taskmark.errors import TaskmarkError
from taskmark.plugins.wire import (
    WireError,
    receive,
    receive_mapped,
    send,
    send_mapped,
)
from taskmark.store.in_file import InFile, VerifiedFile

TENSORS = {
    "floats": torch.arange(6.0).view(2, 3),
    "labels": torch.tensor([3, 1, 2]),
    "bytes": torch.tensor([7], dtype=torch.uint8),
    "truths": torch.tensor([True, False]),
    "halves": torch.ones(3, dtype=torch.bfloat16),
    "one": torch.tensor(2.5),
    "none": torch.empty(0, 4),
}


@pytest.fixture
def ends():
    pair = socket.socketpair()
    yield pair
    for end in pair:
        end.close()


def _inlined(ends, facts, tensors):
    sender = threading.Thread(target=send, args=(ends[0], facts, tensors))
    sender.start()
    message = receive(ends[1], most_bytes=1 << 24)
    sender.join()
    return message


def _mapped(ends, facts, tensors):
    send_mapped(ends[0], facts, tensors)
    return receive_mapped(ends[1])


@pytest.mark.parametrize("carry", [_inlined, _mapped])
def test_a_message_comes_as_it_was_sent(ends, carry):
    facts = {"do": "edit", "of": [1, None, "\u00e4"]}
    for tensors in (TENSORS, {}):
        message = carry(ends, facts, tensors)
        assert message.facts == facts
        assert message.tensors.keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert message.tensors[name].dtype == tensor.dtype
            assert torch.equal(message.tensors[name], tensor)


@pytest.mark.parametrize("carry", [_inlined, _mapped])
@pytest.mark.parametrize("offset", [0, 1, 5, 15])
def test_memory_is_aligned_as_it_was(ends, carry, offset):
    whole = torch.randn(1_000_040)
    part = whole[offset : offset + 1_000_000]
    assert carry(ends, {}, {"part": part}).tensors["part"].data_ptr() % 64 == part.data_ptr() % 64


@pytest.mark.parametrize("carry", [_inlined, _mapped])
def test_views_and_parts_of_one_memory_come_apart(ends, carry):
    whole = torch.arange(12.0).view(3, 4)
    tensors = {"whole": whole, "turned": whole.T, "row": whole[1], "wide": whole[:1].expand(5, 4)}
    message = carry(ends, {}, tensors)
    for name, tensor in tensors.items():
        assert torch.equal(message.tensors[name], tensor)
    message.tensors["whole"].zero_()
    assert torch.equal(message.tensors["row"], whole[1])
    assert whole.any()


HEADER = 192  # bytes


@pytest.fixture
def laid(tmp_path):
    """Tensors mapped from one file, and where each lies in it."""

    def write(tensors, name="whole"):
        path = tmp_path / name
        parts = [tensor.reshape(-1).view(torch.uint8) for tensor in tensors.values()]
        path.write_bytes(bytes(HEADER) + b"".join(part.numpy().tobytes() for part in parts))
        file = VerifiedFile.of(str(path), path.stat(), header=HEADER)
        memory = np.memmap(path, np.uint8, "c")
        mapped, places, end = {}, {}, HEADER
        for key, tensor in tensors.items():
            stop = end + tensor.nbytes
            part = torch.from_numpy(memory[end:stop])
            mapped[key], places[key] = part.view(tensor.dtype).view(tensor.shape), InFile(file, end)
            end = stop
        return path, mapped, places

    return write


PAIR = {"images": torch.arange(60, dtype=torch.uint8).view(5, 12), "more": torch.arange(8.0)}


def _came(ends, tensors, places):
    send_mapped(ends[0], {"n": 1}, tensors, places)
    message = receive_mapped(ends[1])
    assert message.facts == {"n": 1}
    assert message.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert message.tensors[name].dtype == tensor.dtype
        assert torch.equal(message.tensors[name], tensor)
        assert message.tensors[name].data_ptr() % 64 == tensor.data_ptr() % 64
    return message.tensors


def _zeroed(path):
    """Write zeros over what is in a file, which nobody may do while it is used."""
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))


def test_a_file_that_the_tensors_fill_is_mapped_and_not_copied(ends, laid):
    path, tensors, places = laid(PAIR)
    other = torch.arange(3.0)
    found = _came(ends, {**tensors, "other": other}, places)
    _zeroed(path)
    assert not found["images"].any()  # it is the file
    assert not found["more"].any()
    assert torch.equal(found["other"], other)


def test_writing_to_what_came_in_a_file_changes_neither_the_file_nor_the_sender(ends, laid):
    path, tensors, places = laid(PAIR)
    before = path.read_bytes()
    found = _came(ends, tensors, places)
    found["images"].fill_(7)
    assert path.read_bytes() == before
    assert torch.equal(tensors["images"], PAIR["images"])


def _without_the_last(tensors):
    return {"images": tensors["images"]}


def _without_the_first(tensors):
    return {"more": tensors["more"]}


def _a_part(tensors):
    return {"images": tensors["images"][:4], "more": tensors["more"]}


def _turned(tensors):
    return {"images": tensors["images"].T, "more": tensors["more"]}


def _aligned_otherwise(tensors):
    return {name: tensor.clone() for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    "change", [_without_the_last, _without_the_first, _a_part, _turned, _aligned_otherwise]
)
def test_of_a_file_that_holds_anything_else_the_tensors_are_copied(ends, laid, change):
    """Whoever has a file can read all of it, so what is not handed out must not be in it."""
    path, tensors, places = laid(PAIR)
    sent = change(tensors)
    found = _came(ends, sent, places)
    _zeroed(path)
    for name, tensor in change(PAIR).items():
        assert torch.equal(found[name], tensor)


def test_two_names_of_one_place_come_apart(ends, laid):
    path, tensors, places = laid({"images": PAIR["images"]})
    twice = {"images": tensors["images"], "again": tensors["images"]}
    found = _came(ends, twice, {**places, "again": places["images"]})
    found["again"].zero_()
    _zeroed(path)
    assert torch.equal(found["images"], PAIR["images"])


def test_more_files_than_can_travel_come_all_the_same(ends, laid):
    tensors, places = {}, {}
    for k in range(70):
        _, own, place = laid({f"{k}": torch.full((3,), k)}, f"{k}")
        tensors |= own
        places |= place
    _came(ends, tensors, places)


def test_files_that_cannot_be_opened_here_are_an_error(ends, laid):
    _, tensors, places = laid(PAIR)
    send_mapped(ends[0], {}, tensors, places)
    socket.recv_fds(ends[1], 8, 2)  # what carries the files
    ends[0].sendall(bytes(64))
    with pytest.raises(WireError, match="of its"):
        receive_mapped(ends[1])


def test_a_file_that_changed_is_not_sent(ends, laid):
    path, tensors, places = laid(PAIR)
    os.utime(path, ns=(1, 1))
    with pytest.raises(TaskmarkError, match="was changed or replaced"):
        send_mapped(ends[0], {}, tensors, places)


def _framed(body: bytes, content: bytes = b"") -> bytes:
    return struct.pack("!QQ", len(body), len(content)) + body + content


FINE = json.dumps({"facts": {}, "places": {"a": 0}}).encode()
WRONG = {
    "too much of a tensor": (struct.pack("!QQ", 2, 1001), "a message of 1003 bytes"),
    "too long a text": (struct.pack("!QQ", 1 << 40, 0), "a message of 1099511627776 bytes"),
    "no JSON": (_framed(b"\x80\x04K\x01."), "no message"),
    "nested JSON": (_framed(b"[" * 100_000), "no message"),
    "a list": (_framed(b"[]"), "no message"),
    "an object without parts": (_framed(b"{}"), "no message"),
    "parts that are none": (_framed(b'{"facts": 1, "places": 2}'), "no message"),
    "tensors that are none": (_framed(FINE, b"\x80\x04K\x01."), "no safetensors file"),
    "a tensor without a place": (
        _framed(FINE, save({"b": torch.ones(1)})),
        "no safetensors file",
    ),
    "a tensor between numbers": (
        _framed(FINE.replace(b"0", b"3"), save({"a": torch.ones(1)})),
        "no safetensors file",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_message_is_refused(ends, case):
    content, words = WRONG[case]
    ends[0].sendall(content)
    with pytest.raises(WireError, match=words):
        receive(ends[1], most_bytes=1000)


def test_a_line_that_ends_in_a_message_is_an_error_of_the_line(ends):
    ends[0].sendall(_framed(b"{}" * 20)[:-1])
    ends[0].close()
    with pytest.raises(ConnectionError):
        receive(ends[1], most_bytes=1000)
