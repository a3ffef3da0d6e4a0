"""Films: a person's clip frame by frame as a camera records it, with the true motion of every frame."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from preprocess.synth import action_units
from preprocess.synth.bumps import field
from preprocess.synth.draws import generator

if TYPE_CHECKING:
    import numpy as np

    from preprocess.synth.expressions import Unit
    from preprocess.synth.people import Person

COARSE = 4
"""Displacements are smooth: they are computed for every fourth pixel and interpolated between."""

Head = Callable[[int], tuple[float, float, float, float]]
"""How a head moves besides its sway: time -> x, y in widths of the face, angle (to the left shoulder of who looks at
the picture is negative), logarithm of its growth; all 0 at time 0."""


class Movement(Protocol):
    """What a face does: an expression, or several of them.

    Attributes
    ----------
    units : the action units that move.
    rise, fall : frames up to the apex and from there on, about as long as which blinks and sway are drawn.
    """

    @property
    def units(self) -> tuple[Unit, ...]:
        """The action units."""

    @property
    def rise(self) -> int:
        """Frames up to the apex."""

    @property
    def fall(self) -> int:
        """Frames after the apex."""

    def level(self, unit: Unit, time: np.ndarray | float) -> np.ndarray:
        """Return how far a unit has moved at times in frames: 0 at rest, 1 at its apex."""


@dataclass(frozen=True)
class Camera:
    """How a database was recorded.

    Attributes
    ----------
    width, height : of a frame, in pixels.
    face : width of an average face from jaw to jaw, in pixels.
    fps : frames a second.
    grey : True for grey frames, False for colour.
    noise : standard deviation of the sensor's noise, in grey levels.
    flicker : how much the light changes, as a share.
    """

    width: int
    height: int
    face: float
    fps: float
    grey: bool
    noise: float
    flicker: float


class Film:
    """One clip of one person.

    Times are numbers of frames after the onset, negative before it. The head and the light move slowly, and the eyes
    may blink. Equal arguments give equal frames, in whatever order the frames are asked for.

    Parameters
    ----------
    person : who is seen.
    expression : what the face does.
    camera : how it is recorded.
    seed : equal seeds give equal films.
    name : of the clip; each has its own pose, sway, blink and noise.
    head : how the head moves besides its sway; None where it does not.
    """

    def __init__(
        self, person: Person, expression: Movement, camera: Camera, seed: int, name: str, head: Head | None = None
    ) -> None:
        import numpy as np

        self.camera, self._expression, self._moves = camera, expression, head
        self._key = (seed, name)
        rng = generator(seed, name, "film")
        self._to_person = _pose(person, camera, rng)
        self.landmarks = _seen(person.landmarks, self._to_person)
        self.width = float(self.landmarks[16, 0] - self.landmarks[0, 0])
        self._person = person
        self._coarse = _pixels(camera, COARSE)
        self._units = np.stack([self._movement(unit.au, unit.side, unit.left, unit.right) for unit in expression.units])
        along, across = (grid - middle for grid, middle in zip(self._coarse, self.landmarks.mean(axis=0), strict=True))
        self._head_weight = np.exp(-(((along**2 + across**2) / (1.5 * self.width) ** 2) ** 3))[..., None].astype(
            np.float32
        )
        self._blink = self._movement(45, "", 1.0, 1.0)
        eyes = self.landmarks[[40, 41, 46, 47], 1] - self.landmarks[[38, 37, 44, 43], 1]
        self._open = float(eyes.mean())
        length = expression.rise + expression.fall
        # Every fifth clip or so has a blink of about a sixth of a second, which most often is not a whole one.
        blinks = rng.uniform() < 0.2
        self._blink_at = float(rng.uniform(-0.1, 1.1) * length) if blinks else None
        self._blink_depth = float(rng.uniform(0.3, 0.8))
        # x, y in shares of the face's width, angle, logarithm of scale: two slow waves each.
        self._sway = rng.normal(0.0, 1.0, (2, 4)) * np.array([0.0022, 0.0018, 0.0025, 0.0018])
        self._period = rng.uniform(0.8, 3.0, (2, 4)) * length
        self._phase = rng.uniform(0.0, 2.0 * np.pi, (2, 4))
        self._flicker = (rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.05, 0.4))

    def frame(self, time: int) -> np.ndarray:
        """Return one frame: (height, width, 3) uint8 RGB, or (height, width) where the camera is grey."""
        import cv2
        import numpy as np

        x, y = _pixels(self.camera, 1)
        shift = self._shift(time)
        image = cv2.remap(
            self._still, shift[..., 0] + x, shift[..., 1] + y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        rng = generator(*self._key_of(time))
        phase, speed = self._flicker
        gain = 1.0 + self.camera.flicker * (np.sin(phase + speed * time) + 0.3 * rng.normal())
        noise = _noise(self.camera)
        top, left = rng.integers(0, 64, 2)
        part = noise[top : top + self.camera.height, left : left + self.camera.width]
        return cv2.add(cv2.convertScaleAbs(image, alpha=gain), part, dtype=cv2.CV_8U)

    def true_flow(self, time: int, start: int = 0) -> np.ndarray:
        """Return where the points of one frame lie in another one, without noise.

        What frame ``start`` shows at p, frame ``time`` shows at p + flow(p). Near the edges, where points leave the
        picture, the flow has no meaning.

        Parameters
        ----------
        time, start : times of the two frames.

        Returns
        -------
        (height, width, 2) float32, x and y in pixels.
        """
        import cv2
        import numpy as np

        x, y = _pixels(self.camera, 1)
        origin, shift = self._shift(start), self._shift(time)
        flow = np.zeros_like(shift)
        # p + origin(p) and q + shift(q) are the same point of the face; q = p + flow is found by fixed-point steps.
        for _ in range(8 if self._moves is None else 40):
            there = cv2.remap(
                shift, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
            flow = origin - there
        return flow

    def _key_of(self, time: int) -> tuple[int, str, str]:
        return (*self._key, f"frame {time}")

    @functools.cached_property
    def _still(self) -> np.ndarray:
        """The face at the onset as the camera's lens sees it: before noise and flicker."""
        import cv2
        import numpy as np

        x, y = _pixels(self.camera, 1)
        matrix = self._to_person
        at_x = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]).astype(np.float32)
        at_y = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]).astype(np.float32)
        coarse_x, coarse_y = self._coarse
        warp = field(self._person.bumps, *(
            matrix[row, 0] * coarse_x + matrix[row, 1] * coarse_y + matrix[row, 2] for row in (0, 1)
        ))  # fmt: skip
        warp = cv2.resize(warp, (self.camera.width, self.camera.height), interpolation=cv2.INTER_LINEAR)
        scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
        picture = self._person.picture
        if scale > 1.0:
            picture = cv2.GaussianBlur(picture, (0, 0), 0.4 * scale)
        image = cv2.remap(
            picture, at_x + warp[..., 0], at_y + warp[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if self.camera.grey else image

    def _movement(self, au: int, side: str, left: float, right: float) -> np.ndarray:
        return field(action_units.bumps(au, side, self.landmarks, left, right), *self._coarse)

    def _shift(self, time: int) -> np.ndarray:
        """Return where each pixel's content was at the onset, less the pixel: (height, width, 2) float32."""
        import cv2
        import numpy as np

        scale = self.width / 280.0
        shift = np.zeros_like(self._blink)
        for unit, movement in zip(self._expression.units, self._units, strict=True):
            shift -= np.float32(scale * unit.peak * self._expression.level(unit, time)) * movement
        if self._blink_at is not None:
            spread = self.camera.fps * 0.045
            shut = np.exp(-0.5 * ((time - self._blink_at) / spread) ** 2) - np.exp(
                -0.5 * (self._blink_at / spread) ** 2
            )
            shift -= np.float32(self._open * self._blink_depth * shut) * self._blink
        head = self._head(time)
        if self._moves is not None:
            # The face takes its expression along.
            at_x, at_y = (
                (head[..., axis] + self._coarse[axis] - (COARSE - 1) / 2).astype(np.float32) / COARSE for axis in (0, 1)
            )
            shift = cv2.remap(shift, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        shift += head
        return cv2.resize(shift, (self.camera.width, self.camera.height), interpolation=cv2.INTER_LINEAR)

    def pose(self, time: int) -> np.ndarray:
        """Return where the head's points of time 0 are, in pixels: a (2, 3) similarity."""
        import numpy as np

        x, y, angle, size = self._amounts(time)
        centre = self.landmarks.mean(axis=0)
        turn = np.exp(size) * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        return np.column_stack([turn, centre + turn @ (np.array([x, y]) * self.width - centre)])

    def _amounts(self, time: int) -> np.ndarray:
        """Return how far the head has gone: x, y in widths of the face, angle, logarithm of its growth."""
        import numpy as np

        waves = np.sin(self._phase + 2.0 * np.pi * time / self._period) - np.sin(self._phase)
        amounts: np.ndarray = (self._sway * waves).sum(axis=0)
        return amounts if self._moves is None else amounts + self._moves(time)

    def _head(self, time: int) -> np.ndarray:
        """Return the shift of a similarity about the middle of the face; what is behind the head stays."""
        import numpy as np

        x, y, angle, size = self._amounts(time)
        centre = self.landmarks.mean(axis=0)
        along, across = self._coarse[0] - centre[0], self._coarse[1] - centre[1]
        cos, sin = np.exp(-size) * np.cos(angle), np.exp(-size) * np.sin(angle)
        shift = np.empty((*np.broadcast_shapes(along.shape, across.shape), 2), dtype=np.float32)
        shift[..., 0] = (cos - 1.0) * along + sin * across - x * self.width
        shift[..., 1] = -sin * along + (cos - 1.0) * across - y * self.width
        return shift * self._weight(time)

    def _weight(self, time: int) -> np.ndarray:
        """Return how far each coarse pixel belongs to the head, 0..1."""
        import numpy as np

        if self._moves is None:
            return self._head_weight
        centre = self.landmarks.mean(axis=0)
        pose = self.pose(time)
        middle, reach = pose[:, :2] @ centre + pose[:, 2], 1.5 * self.width * np.linalg.norm(pose[:, 0])
        along, across = (grid - at for grid, at in zip(self._coarse, middle, strict=True))
        return np.exp(-(((along**2 + across**2) / reach**2) ** 6))[..., None].astype(np.float32)


def _pose(person: Person, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Return the (2, 3) similarity from a camera's pixels to the person's picture, a little different in every clip."""
    import numpy as np

    scale = person.width / (camera.face * rng.normal(1.0, 0.03))
    angle = rng.normal(0.0, 0.03)
    # Nose bridge to the middle of the frame, a little above it where there is room for the neck.
    middle = person.landmarks[28]
    at = np.array([camera.width, camera.height]) * [0.5, 0.47] + rng.normal(0.0, 0.04, 2) * camera.face
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([turn, middle - turn @ at])


def _seen(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the pixels at which points of the person's picture are seen."""
    import numpy as np

    return (points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T


@functools.lru_cache(maxsize=8)
def _pixels(camera: Camera, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x (1, w) and y (h, 1), float32: the middles of blocks of ``step`` x ``step`` pixels."""
    import numpy as np

    x, y = (
        np.arange(-(-size // step), dtype=np.float32) * step + (step - 1) / 2 for size in (camera.width, camera.height)
    )
    return x[None, :], y[:, None]


@functools.lru_cache(maxsize=2)
def _noise(camera: Camera) -> np.ndarray:
    """Return noise a little larger than a frame, int16; each frame takes another part of it."""
    import numpy as np

    shape = (camera.height + 64, camera.width + 64) + (() if camera.grey else (3,))
    return np.rint(camera.noise * generator(0, "noise").standard_normal(shape, dtype=np.float32)).astype(np.int16)
