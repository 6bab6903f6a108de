"""Messages to and from the process of a plug-in."""

from __future__ import annotations

import json
import socket
import struct
import threading

import pytest
import torch
from safetensors.torch import save

from taskmark.isolation.wire import (
    WireError,
    receive,
    receive_mapped,
    send,
    send_mapped,
)

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
