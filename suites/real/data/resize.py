"""Bicubic resizing of uint8 images on any device, as Pillow does it, to two levels."""

from __future__ import annotations

import functools

import torch

from taskmark.errors import TaskmarkError

_WHITE = 255
_REACH = 2.0  # of the cubic kernel, pixels


def resize(images: torch.Tensor, size: int) -> torch.Tensor:
    """Resize squares to squares: antialiased bicubic, the width first, then the height.

    (Pillow turns the order round for some images that are not square, depending on its version.)
    Between the two Pillow keeps whole levels from 0 to 255; one pass in two dimensions without that
    differs by up to 25 levels where contrast is strong. Each pass is a product with a matrix of the
    kernel's weights. Pillow's weights have 22 bits behind the point, so sums that lie between two
    levels may be rounded the other way, which the second pass can make two levels of.
    Under autocast the products keep single precision: with bfloat16 pixels are wrong by levels.

    Args:
        images: [B, C, S, S], uint8.
        size: side of the resized images, pixels.

    Returns:
        [B, C, size, size], uint8, on the device of the images.

    Raises:
        TaskmarkError: if the images are not square.
    """
    high, wide = images.shape[-2:]
    if high != wide:
        raise TaskmarkError(f"Images of {wide} x {high} pixels are not square; crop them before.")
    if wide == size:
        return images
    kernel = _weights_on(wide, size, images.device)  # [size, S]
    with torch.autocast(images.device.type, enabled=False):
        return _levels(kernel @ _levels(images.float() @ kernel.T).float())


@functools.lru_cache(maxsize=32)
def _weights_on(before: int, after: int, device: torch.device) -> torch.Tensor:
    # Kept, since each copy to a GPU would wait for all that runs there; and kept as a plain tensor,
    # whichever mode the first caller is in.
    with torch.inference_mode(mode=False):
        return weights(before, after).to(device)


def weights(before: int, after: int) -> torch.Tensor:
    """What each pixel along a line gives to each resized one, [after, before], float32.

    The kernel is that of Keys (1981, equation 4, a = -1/2), widened by the scale where the line
    gets shorter, cut off at the ends of the line, and normalised to the sum 1.
    """
    scale = before / after
    widened = max(scale, 1.0)
    centre = (torch.arange(after, dtype=torch.float64, device="cpu")[:, None] + 0.5) * scale
    pixel = torch.arange(before, dtype=torch.float64, device="cpu") + 0.5
    kernel = _cubic(((pixel - centre) / widened).abs())
    return (kernel / kernel.sum(1, keepdim=True)).float()


def _cubic(x: torch.Tensor) -> torch.Tensor:
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < _REACH, far, 0.0))


def _levels(pixels: torch.Tensor) -> torch.Tensor:
    # Halves go up, as in Pillow; torch.round would take them to the even level.
    # Not clamp_, for which vmap has no rule: it goes image by image, and warns.
    return pixels.add_(0.5).floor_().clamp_min_(0).clamp_max_(_WHITE).to(torch.uint8)
