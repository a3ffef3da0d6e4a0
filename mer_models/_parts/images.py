"""Images of the size that a network takes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Return images (n, c, h, w) as (n, c, *size), bilinearly; those that have the size already, as they are.

    Smaller ones average all pixels that they stand for: the noise of a camera would hide what a micro-expression moves.
    """
    if images.shape[-2:] == size:
        return images
    return functional.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)


@dataclass(frozen=True)
class Resized:
    """A reduction: pictures (n, ..., h, w) at ``size``, as ``resized`` makes them."""

    size: tuple[int, int]

    def __call__(self, pictures: Tensor) -> Tensor:
        """Return (n, ..., *size)."""
        # All frames of a sample stand in the channels, so that nothing is copied.
        return resized(pictures.flatten(1, -3), self.size).unflatten(1, pictures.shape[1:-2])


@dataclass(frozen=True)
class FewerTimes:
    """A reduction: ``count`` of the times along ``axis``, evenly spaced, with the last one among them."""

    count: int
    axis: int

    def __call__(self, values: Tensor) -> Tensor:
        """Return ``count`` places along the axis, which divides their number; all, where there are no more."""
        every = max(1, values.shape[self.axis] // self.count)
        return values[(slice(None),) * self.axis + (slice(every - 1, None, every),)]


@dataclass(frozen=True)
class FewerSmallerFrames:
    """A reduction of clips (n, c, t, h, w): ``count`` frames, evenly spaced to the last, of ``side``; 0 keeps it."""

    count: int
    side: int

    def __call__(self, clips: Tensor) -> Tensor:
        """Return (n, c, count, side, side)."""
        fewer = FewerTimes(self.count, 2)(clips)
        return Resized((self.side, self.side))(fewer) if self.side else fewer


@dataclass(frozen=True)
class SmallerKeyFrames:
    """A reduction of key frames (n, t, m, c, h, w), each shown at m moments: the middle one, the frame itself."""

    size: tuple[int, int]

    def __call__(self, moments: Tensor) -> Tensor:
        """Return (n, t, 1, c, *size)."""
        return Resized(self.size)(moments.narrow(2, moments.shape[2] // 2, 1))
