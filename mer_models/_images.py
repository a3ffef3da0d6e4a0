"""Images of the size that a network takes."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Return images (n, c, h, w) as (n, c, *size), bilinearly; those that have the size already, as they are."""
    if images.shape[-2:] == size:
        return images
    return functional.interpolate(images, size=size, mode="bilinear", align_corners=False)
