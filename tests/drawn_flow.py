"""Two datasets of drawn flow, made in milliseconds from a seed, for tests that need data and no faces.

A sample is the optical flow of a drawn face. Its class says where and how the face moves, its subject sets the
geometry, the strength and habits, its database shifts strength and noise. A learner does well on it, and not perfectly.
"""

from __future__ import annotations

import bisect
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preprocess.base.hashing import digest
from preprocess.datasets import RawDataset, RawFeature
from preprocess.samples.layout import Content
from preprocess.samples.table import samples_table

if TYPE_CHECKING:
    import numpy as np

FEATURE = "flow_uvs_28"
SIZE = 28
VERSION = 1
CLASSES = ("negative", "positive", "surprise")
# Where the second and the third class begin; about the shares of the MEGC 2019 composite (250, 109, 83 of 442).
CLASS_BORDERS = (0.55, 0.80)


@dataclass(frozen=True)
class _Move:
    """A part of the face that moves: its centre, displacement and radius, as fractions of the face's width.

    x grows to the right and y downwards. A move left of the midline (x < 0.5) has a mirror image on the right.
    """

    x: float
    y: float
    dx: float
    dy: float
    radius: float


_MOVES: dict[str, tuple[_Move, ...]] = {
    # Brow lowerer (AU 4) and lip corner depressor (AU 15).
    "negative": (_Move(0.38, 0.30, 0.5, 1.0, 0.10), _Move(0.36, 0.75, -0.2, 0.7, 0.08)),
    # Lip corner puller (AU 12) and cheek raiser (AU 6).
    "positive": (_Move(0.36, 0.72, -0.7, -0.9, 0.10), _Move(0.30, 0.52, 0.0, -0.6, 0.10)),
    # Inner and outer brow raiser (AU 1 + 2) and jaw drop (AU 26).
    "surprise": (_Move(0.34, 0.28, 0.0, -1.0, 0.12), _Move(0.50, 0.85, 0.0, 1.0, 0.13)),
}


@dataclass(frozen=True)
class _Database:
    """How one synthetic database differs from the other: its size, and how strong and how noisy its flow is."""

    name: str
    subjects: int
    clips: float
    strength: float
    noise: float


_DATABASES = (
    _Database("synth_a", subjects=10, clips=8.0, strength=1.0, noise=0.42),
    _Database("synth_b", subjects=8, clips=8.0, strength=0.85, noise=0.40),
)


@dataclass(frozen=True)
class _Person:
    """A subject: shift (2,) and scale of the face, movement strength of the left and right side, noise, habits.

    habits : (3,) how much of each class's movement this person mixes into every expression.
    """

    shift: np.ndarray
    scale: float
    sides: np.ndarray
    noise: float
    habits: np.ndarray


def drawn_datasets(seed: int = 0) -> list[RawDataset]:
    """Draw the datasets ``synth_a`` and ``synth_b`` (10 and 8 subjects of about 8 clips, classes of ``megc3``).

    Equal seeds give equal data. Classes are unbalanced as in the real databases, and a subject need not show them all.
    """
    return [_dataset(database, seed) for database in _DATABASES]


def write_drawn_tree(root: Path, seed: int = 0) -> Path:
    """Write the drawn datasets as a flow-image tree of PNG files and return ``root``: as CASME II and SAMM, 10 and 8
    people, since such a tree tells databases by the names of their subjects.
    """
    import cv2

    for dataset, name in zip(drawn_datasets(seed), ("sub{:02d}", "{:03d}"), strict=True):
        for row in dataset.samples.itertuples():
            person = name.format(int(str(row.subject)[-2:]))
            folder = root / person / "u_test" / str(CLASSES.index(str(row.emotion)))
            folder.mkdir(parents=True, exist_ok=True)
            tensor = dataset.features[FEATURE].compute(str(row.sample_id))
            cv2.imwrite(str(folder / f"{person}_{row.clip}.png"), tensor[::-1].transpose(1, 2, 0))
    return root


def _dataset(database: _Database, seed: int) -> RawDataset:
    rows = _rows(database, seed)
    emotions = {row["sample_id"]: row["emotion"] for row in rows}
    people = {row["subject"]: _person(database, row["subject"], seed) for row in rows}

    def compute(sample_id: str) -> np.ndarray:
        person = people[sample_id.rpartition("/")[0]]
        return _tensor(person, emotions[sample_id], _generator(seed, sample_id))

    feature = RawFeature(
        recipe=_recipe(),
        shape=(3, SIZE, SIZE),
        dtype="uint8",
        source_fingerprint=lambda sample_id: digest([VERSION, seed, sample_id, emotions[sample_id]]),
        compute=compute,
        axes="chw",
        content=Content(whole=True, u=0, u_range="sample"),
    )
    return RawDataset(name=database.name, samples=samples_table(rows), synthetic=True, features={FEATURE: feature})


def _recipe() -> dict[str, Any]:
    return {
        "name": FEATURE,
        "version": VERSION,
        "source": "synthetic",
        "steps": ["draw_displacement", "strain_of_gradients", "min_max_per_channel_and_sample"],
        "channels": ["u", "v", "strain"],
        "range": "8bit",
        "dtype": "uint8",
        "shape": [3, SIZE, SIZE],
    }


def _generator(seed: int, *names: str) -> np.random.Generator:
    """Return a generator of its own for whatever the names name, so that no draw depends on the order of drawing."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(int(digest(["synthetic", VERSION, seed, *names]), 16)))


def _rows(database: _Database, seed: int) -> list[dict[str, Any]]:
    """Deal the classes, in their fixed shares, to the clips of all subjects: many subjects do not show every class."""
    rng = _generator(seed, database.name)
    clips = [
        (f"{database.name}/p{subject:02d}", f"c{clip:02d}")
        for subject in range(1, database.subjects + 1)
        for clip in range(1, 1 + max(2, rng.poisson(database.clips)))
    ]
    return [
        {
            "sample_id": f"{subject}/{clip}",
            "dataset": database.name,
            "subject": subject,
            "clip": clip,
            "emotion": CLASSES[bisect.bisect_right(CLASS_BORDERS, rank / len(clips))],
        }
        for (subject, clip), rank in zip(clips, rng.permutation(len(clips)), strict=True)
    ]


def _person(database: _Database, subject: str, seed: int) -> _Person:
    rng = _generator(seed, subject)
    return _Person(
        shift=rng.normal(0.0, 0.03, 2),
        scale=float(rng.normal(1.0, 0.06)),
        sides=database.strength * rng.lognormal(0.0, 0.25, 2),
        noise=database.noise * float(rng.lognormal(0.0, 0.2)),
        habits=rng.uniform(0.0, 0.25, len(CLASSES)),
    )


def _tensor(person: _Person, emotion: str, rng: np.random.Generator) -> np.ndarray:
    """Draw one sample: (3, 28, 28) uint8, channels u, v, strain, each scaled from its minimum and maximum to 0..255."""
    import numpy as np

    weights = person.habits * rng.uniform(0.0, 1.0, len(CLASSES))
    weights[CLASSES.index(emotion)] = rng.uniform(0.4, 1.2)
    flow = person.noise * _smooth_noise(rng) + rng.normal(0.0, 0.1, (2, 1, 1))
    for name, weight in zip(CLASSES, weights, strict=True):
        for move in _MOVES[name]:
            # Each part of an expression has its own strength, and may hardly show.
            flow += weight * rng.uniform(0.2, 1.0) * _displacement(move, person)
    u_y, u_x = np.gradient(flow[0])
    v_y, v_x = np.gradient(flow[1])
    strain = np.sqrt(u_x**2 + v_y**2 + 0.5 * (u_y + v_x) ** 2)
    channels = np.stack([flow[0], flow[1], strain])
    low, high = channels.min(axis=(1, 2), keepdims=True), channels.max(axis=(1, 2), keepdims=True)
    return np.rint(255.0 * (channels - low) / (high - low)).astype(np.uint8)


def _displacement(move: _Move, person: _Person) -> np.ndarray:
    """Return the flow (2, 28, 28) of one move and its mirror image on a person's face: Gaussian bumps."""
    import numpy as np

    x, y = _grid()
    flow = np.zeros((2, SIZE, SIZE))
    sides = ((1.0, person.sides[0]), (-1.0, person.sides[1])) if move.x < 0.5 else ((1.0, person.sides.mean()),)
    for mirror, strength in sides:
        centre_x = 0.5 + mirror * person.scale * (move.x - 0.5) + person.shift[0]
        centre_y = 0.5 + person.scale * (move.y - 0.5) + person.shift[1]
        bump = np.exp(-((x - centre_x) ** 2 + (y - centre_y) ** 2) / (2.0 * (person.scale * move.radius) ** 2))
        flow += strength * np.array([mirror * move.dx, move.dy])[:, None, None] * bump
    return flow


@functools.cache
def _grid() -> tuple[np.ndarray, np.ndarray]:
    """Return x (1, 28) and y (28, 1): the pixel centres as fractions of the face."""
    import numpy as np

    centres = (np.arange(SIZE) + 0.5) / SIZE
    return centres[None, :], centres[:, None]


def _smooth_noise(rng: np.random.Generator, knots: int = 7) -> np.ndarray:
    """Return (2, 28, 28) noise that is smooth, as flow algorithms leave it: a coarse normal grid, interpolated."""
    import numpy as np

    positions = np.linspace(0.0, knots - 1.0, SIZE)
    blend = np.maximum(0.0, 1.0 - np.abs(positions[:, None] - np.arange(knots)[None, :]))
    return blend @ rng.normal(0.0, 1.0, (2, knots, knots)) @ blend.T
