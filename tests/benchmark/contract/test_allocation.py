"""Memory for results: shape, type, and that it is the tensor's own."""

import pytest
import torch

from taskmark.contract.allocation import empty


@pytest.mark.parametrize("shape", [(), (0,), (1,), (5,), (2, 3), (0, 4)])
def test_it_has_the_shape_and_can_be_written(shape):
    tensor = empty(*shape)
    assert tuple(tensor.shape) == shape
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()
    tensor.fill_(2.0)
    assert bool((tensor == 2.0).all())


def test_two_of_them_share_nothing():
    first, second = empty(3).fill_(1.0), empty(3).fill_(2.0)
    assert first.tolist() == [1.0, 1.0, 1.0]
    assert second.tolist() == [2.0, 2.0, 2.0]


def test_another_device_allocates_for_itself():
    assert empty(2, 3, device="meta").device.type == "meta"
