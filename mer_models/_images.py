"""Images of the size that a network takes."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Return images (n, c, h, w) as (n, c, *size), bilinearly; those that have the size already, as they are.

    Smaller ones average all pixels that they stand for: the noise of a camera would hide what a micro-expression moves.
    """
    if images.shape[-2:] == size:
        return images
    return functional.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)


def resized_clips(clips: Tensor, side: int) -> Tensor:
    """Return clips (n, c, t, h, w) as (n, c, t, side, side), as ``resized`` does it; as they are where side is 0."""
    if not side:
        return clips
    # Frames stand in the channels, so that nothing is copied.
    return resized(clips.flatten(1, 2), (side, side)).unflatten(1, clips.shape[1:3])
