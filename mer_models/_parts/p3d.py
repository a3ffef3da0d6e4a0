"""Pseudo-3-D residual network: convolutions over space and over time take turns in bottleneck blocks."""

from __future__ import annotations

from torch import Tensor, nn

EXPANSION = 4
P3D_BLOCKS = {63: (3, 4, 6, 3), 32: (2, 2, 2, 2), 17: (1, 1, 1, 1)}
"""Blocks of the four stages, by the number of layers that they make."""


class P3D(nn.Module):
    """A pseudo-3-D network (Qiu, Yao and Mei, ICCV 2017): frames (n, 3, t, h, w) to (n, outputs); 16 divides t.

    A convolution 1x7x7 of stride 2, pooling, three stages of blocks of ``width``, twice and four times that, each
    followed by pooling over two frames, and a stage of eight times that without convolutions over time; mean over the
    rest of space and time, dropout 0.5, a layer. Space is halved between stages.

    Parameters
    ----------
    depth : number of layers: 63 as published, 32 or 17.
    """

    def __init__(self, outputs: int, depth: int, width: int) -> None:
        super().__init__()
        self.enter = _convolution(3, width, (1, 7, 7), stride=2)
        self.pool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        stages, channels, place = [], width, 0
        for stage, blocks in enumerate(P3D_BLOCKS[depth]):
            inner, layers = width * 2**stage, []
            for first in range(blocks):
                kind = "ABC"[place % 3] if stage < 3 else ""
                layers.append(_Block(channels, inner, 2 if stage and not first else 1, kind))
                channels, place = EXPANSION * inner, place + 1
            stages.append(nn.Sequential(*layers))
        self.stages = nn.ModuleList(stages)
        self.classifier = nn.Sequential(nn.Dropout(0.5), nn.Linear(channels, outputs))
        for part in (self.enter, *stages[:-1]):
            _draw(part)

    def forward(self, frames: Tensor) -> Tensor:
        """Return the outputs for a batch of clips, (n, outputs)."""
        maps = self.enter(frames)
        images = self.pool(maps.transpose(1, 2).flatten(0, 1))
        maps = _halve_time(images.unflatten(0, (len(frames), -1)).transpose(1, 2))
        for stage in list(self.stages)[:-1]:
            maps = _halve_time(stage(maps))
        return self.classifier(self.stages[-1](maps).mean(dim=(2, 3, 4)))


class _Block(nn.Module):
    """A bottleneck block; kind A convolves over space then time, B side by side, C adds A to what space alone gives.

    Without a kind it convolves over space alone.
    """

    def __init__(self, channels: int, inner: int, stride: int, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.narrow = _convolution(channels, inner, (1, 1, 1), stride)
        self.space = _convolution(inner, inner, (1, 3, 3))
        self.time = _convolution(inner, inner, (3, 1, 1)) if kind else None
        self.widen = _convolution(inner, EXPANSION * inner, (1, 1, 1))[:2]
        alike = channels == EXPANSION * inner and stride == 1
        self.keep = nn.Identity() if alike else _convolution(channels, EXPANSION * inner, (1, 1, 1), stride)[:2]
        self.last = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        narrow = self.narrow(maps)
        mixed = self.space(narrow)
        if self.time is not None:
            timed = self.time(narrow if self.kind == "B" else mixed)
            mixed = timed if self.kind == "A" else mixed + timed
        return self.last(self.widen(mixed) + self.keep(maps))


def _convolution(channels: int, width: int, size: tuple[int, int, int], stride: int = 1) -> nn.Sequential:
    """Return a convolution that keeps the frames, and the size where its stride is 1; normalisation, ReLU."""
    padding = (size[0] // 2, size[1] // 2, size[2] // 2)
    steps = (1, stride, stride)
    return nn.Sequential(
        nn.Conv3d(channels, width, size, stride=steps, padding=padding, bias=False), nn.BatchNorm3d(width), nn.ReLU()
    )


def _draw(part: nn.Module) -> None:
    """Draw the weights of all convolutions as the public code does, all but those of the stage over space alone."""
    for convolution in part.modules():
        if isinstance(convolution, nn.Conv3d):
            times, rows, _ = convolution.kernel_size
            nn.init.normal_(convolution.weight, std=(2 / (times * rows * convolution.out_channels)) ** 0.5)


def _halve_time(maps: Tensor) -> Tensor:
    """Return the larger one of every two frames; on a GPU too its gradient is the same in every run."""
    return maps.unflatten(2, (-1, 2)).amax(dim=3)
