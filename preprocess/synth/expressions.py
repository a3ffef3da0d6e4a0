"""Expressions: which action units an emotion moves, how strongly, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from preprocess.base.errors import UsageError
from preprocess.synth.draws import generator

if TYPE_CHECKING:
    import numpy as np

# Combinations as the coding sheets of CASME II and SAMM hold them, the common ones more than once. Several emotions
# share units: brows are lowered in anger and disgust and by those who think, a smile is held back in repression.
COMBINATIONS: dict[str, tuple[str, ...]] = {
    "happiness": ("12", "12", "6+12", "6+12", "6+12", "12+25", "7+12", "R12", "12+14"),
    "disgust": ("4", "4+7", "4+7", "4+9", "9", "10", "4+10", "4+7+10", "4+9+17", "L10", "7"),
    "repression": ("14", "15", "15+17", "14+17", "17", "12+15", "12+17", "6+15"),
    "surprise": ("1+2", "1+2", "1+2", "1+2+5", "1+2+25", "1+2+26", "2", "5", "R2"),
    "sadness": ("1+4", "15", "1+15", "15+17", "1+17"),
    "fear": ("1+2+4", "1+4+5", "20", "4+20", "4+5"),
    "anger": ("4", "4", "4+7", "4+7", "4+5", "4+5+7", "4+24", "7+24"),
    "contempt": ("R14", "L14", "R12", "L12", "14", "R14+24"),
    "others": ("4", "4+7", "14", "17", "24", "1", "L2", "7", "4+14", "R12", "2+14"),
}

STRENGTHS = {"micro": (0.8, 2.6), "macro": (4.0, 12.0)}
"""Peak displacement of the strongest unit, from and to, in pixels of a face 280 pixels wide."""


@dataclass(frozen=True)
class Unit:
    """One action unit of one clip.

    Attributes
    ----------
    au, side : as for ``action_units.bumps``.
    peak : its largest motion, in pixels of a face 280 pixels wide.
    left, right : factors of the two halves of the face.
    pace : how suddenly it comes and goes; 1 is evenly.
    coded : True where the annotation sheet has it.
    """

    au: int
    side: str
    peak: float
    left: float
    right: float
    pace: float
    coded: bool


@dataclass(frozen=True)
class Expression:
    """What a face does in one clip.

    Attributes
    ----------
    emotion : the emotion that it shows.
    units : its action units.
    rise : number of frames from onset to apex.
    fall : number of frames from apex to offset.
    rest : how much of the apex is left at the offset, 0..1.
    """

    emotion: str
    units: tuple[Unit, ...]
    rise: int
    fall: int
    rest: float

    @property
    def facs(self) -> str:
        """The coded units as a sheet holds them, such as ``4+L14``."""
        return "+".join(f"{unit.side}{unit.au}" for unit in self.units if unit.coded)

    def level(self, unit: Unit, time: np.ndarray | float) -> np.ndarray:
        """Return how far a unit has moved at times in frames after the onset: 0 at the onset, 1 at the apex."""
        import numpy as np

        time = np.asarray(time, dtype=np.float64)
        up = _course(time / self.rise, unit.pace)
        down = 1.0 - _course((time - self.rise) / self.fall, unit.pace)
        # After the offset the rest of the movement dies away slowly, as long again as the fall took.
        rest = self.rest * (2.0 - (time - self.rise) / self.fall).clip(0.0, 1.0)
        return np.where(time <= self.rise, up, down + (1.0 - down) * rest)


def _course(time: np.ndarray, power: float) -> np.ndarray:
    """Return a smooth way from 0 at time 0 to 1 at time 1; the greater the power, the more suddenly in between."""
    there, left = time.clip(0.0, 1.0) ** power, (1.0 - time).clip(0.0, 1.0) ** power
    return there / (there + left)


@dataclass(frozen=True)
class Habits:
    """How a person moves: a factor for each AU and side, and the unit that slips into other expressions."""

    factors: dict[int, tuple[float, float]]
    idle: tuple[int, float]


def draw_habits(seed: int, person: str, aus: tuple[int, ...]) -> Habits:
    """Draw a person's habits."""
    rng = generator(seed, person, "habits")
    general = rng.lognormal(0.0, 0.15)
    factors = {}
    for au in aus:
        own = general * rng.lognormal(0.0, 0.2)
        left, right = own * rng.lognormal(0.0, 0.15, 2)
        factors[au] = (float(left), float(right))
    return Habits(factors, (int(rng.choice([1, 2, 4, 12, 14, 15, 17])), float(rng.uniform(0.1, 0.5))))


def draw_expression(
    rng: np.random.Generator, emotion: str, habits: Habits, strength: str, frames: tuple[int, int]
) -> Expression:
    """Draw one expression of an emotion at random.

    Parameters
    ----------
    rng : the generator.
    emotion : the emotion to show.
    habits : what is special to the person.
    strength : a key of ``STRENGTHS``.
    frames : the shortest and the longest length from onset to offset.
    """
    if strength not in STRENGTHS:
        raise UsageError(f"Unknown strength {strength!r}; expected {' or '.join(STRENGTHS)}.")
    low, high = STRENGTHS[strength]
    peak = rng.uniform(low, high)
    units = []
    for word in str(rng.choice(COMBINATIONS[emotion])).split("+"):
        side, au = (word[0], int(word[1:])) if word[0] in "LR" else ("", int(word))
        units.append(_unit(rng, au, side, peak * rng.uniform(0.45, 1.0), habits, coded=True))
    au, share = habits.idle
    units.append(_unit(rng, au, "", peak * share * rng.uniform(0.0, 1.0), habits, coded=False))
    length = int(rng.integers(frames[0], frames[1] + 1))
    rise = max(4, round(length * float(0.2 + 0.5 * rng.beta(2.0, 2.5))))
    return Expression(emotion, tuple(units), rise, length - rise, float(rng.uniform(0.0, 0.35)))


def _unit(rng: np.random.Generator, au: int, side: str, peak: float, habits: Habits, coded: bool) -> Unit:
    left, right = habits.factors[au]
    return Unit(au, side, float(peak), left, right, float(rng.uniform(1.3, 2.8)), coded)
