"""Databases to render: who is in them, which clips, and how their folders, files and frames are called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from preprocess.base.errors import UsageError, did_you_mean
from preprocess.base.hashing import digest
from preprocess.synth.action_units import AUS
from preprocess.synth.draws import VERSION, generator
from preprocess.synth.expressions import STRENGTHS, Expression, draw_expression, draw_habits
from preprocess.synth.film import Camera, Film, Head
from preprocess.synth.people import make_person

if TYPE_CHECKING:
    import numpy as np


VARIANTS = ("raw", "cropped", "long")


@dataclass(frozen=True)
class Options:
    """What to render.

    Attributes
    ----------
    like : the real database to imitate, a key of ``LIKE``.
    subjects : number of people.
    clips : average number of clips of each person.
    seed : equal seeds give equal files.
    strength : ``micro`` or ``macro``.
    full_size : True for frames as large as those of the real database.
    variant : "raw"; "cropped": faces cut out tightly, in the folders of the real database's cropped variant; or "long":
        long recordings with several expressions each (``long_recordings``).
    """

    like: str
    subjects: int
    clips: float = 7.0
    seed: int = 0
    strength: str = "micro"
    full_size: bool = False
    variant: str = "raw"

    def check(self) -> None:
        """Check that the options can be obeyed.

        Raises
        ------
        UsageError : one of them cannot.
        """
        if self.like not in LIKE:
            raise UsageError(f"No database like {self.like!r} can be rendered. {did_you_mean(self.like, LIKE)}")
        if self.strength not in STRENGTHS:
            raise UsageError(f"Unknown strength {self.strength!r}; expected {' or '.join(STRENGTHS)}.")
        if self.variant not in VARIANTS:
            raise UsageError(f"Unknown variant {self.variant!r}; expected {' or '.join(VARIANTS)}.")
        if not 1 <= self.subjects <= 99:
            raise UsageError(f"{self.subjects} subjects were asked for; expected 1 to 99.")
        if not 1 <= self.clips <= 99:
            raise UsageError(f"{self.clips} clips a subject were asked for; expected 1 to 99.")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"The seed is {self.seed}; expected a whole number from 0 on.")

    def as_json(self) -> dict[str, Any]:
        """Return everything that decides the files, as JSON values."""
        values = {**asdict(self), "version": VERSION}
        if self.variant == "raw":
            # As databases were marked before there were variants.
            del values["variant"]
        return values

    def digest(self) -> str:
        """Return a short name of the options."""
        return digest(self.as_json())[:12]


@dataclass(frozen=True)
class ClipPlan:
    """One clip to render. Frame numbers are those of the imitated database.

    Attributes
    ----------
    subject, clip : ids of the person and of the clip.
    folder : relative to the root of the database.
    digits : least number of digits in the file name of a frame.
    emotion : as annotated.
    expression : what the face does.
    first, last : first and last frame on disk.
    onset, apex, offset : the true ones.
    coded_apex : the apex in the annotation sheet; None where the sheet has none.
    """

    subject: str
    clip: str
    folder: str
    digits: int
    emotion: str
    expression: Expression
    first: int
    onset: int
    apex: int
    offset: int
    last: int
    coded_apex: int | None

    @property
    def name(self) -> str:
        """``subject/clip``, as the end of the sample id."""
        return f"{self.subject}/{self.clip}"


@dataclass(frozen=True)
class Like:
    """How one database is imitated.

    Attributes
    ----------
    camera : the camera by default.
    full_camera : the camera that gives frames as large as the original ones.
    frames : lengths of the shortest and of the longest micro-expression.
    around : largest number of frames on disk before the onset, and after the offset.
    emotions : annotated word -> share of the clips.
    subject : number of a person, from 0 on -> id.
    clips : (generator, id of a person, emotions of that person's clips) -> (clip, folder, digits, onset) of each clip.
    stem : start of a frame's file name, with a place for the subject.
    suffix : end of a frame's file name.
    crops : how folders begin and what ``stem`` is in the cropped variant: (start of the raw ones, start of the cropped
        ones, stem).
    expresses : annotated word -> what the face may show, where that has another name.
    coded : True where the sheet gives the apex.
    one_apex_lacks : True where the sheet gives no apex for one of the clips.
    """

    camera: Camera
    full_camera: Camera
    frames: tuple[int, int]
    around: int
    emotions: dict[str, float]
    subject: Callable[[int], str]
    clips: Callable[[np.random.Generator, str, list[str]], list[tuple[str, str, int, int]]]
    stem: str
    suffix: str
    crops: tuple[str, str, str]
    expresses: dict[str, tuple[str, ...]]
    coded: bool = True
    one_apex_lacks: bool = False

    def file_name(self, clip: ClipPlan, number: int, variant: str = "raw") -> str:
        """Return the file name of a frame in a variant."""
        stem = self.crops[2] if variant == "cropped" else self.stem
        return f"{stem.format(subject=clip.subject)}{number:0{clip.digits}d}{self.suffix}"

    def folder(self, raw: str, variant: str) -> str:
        """Return a clip's folder in a variant, from its folder in the raw one."""
        before, after, _ = self.crops
        return after + raw.removeprefix(before) if variant == "cropped" else raw


def plan(options: Options) -> list[ClipPlan]:
    """Return the clips of a database.

    Each emotion has its fixed share of the clips. They are dealt out to people at random, and a person need not show
    every emotion.
    """
    options.check()
    like = LIKE[options.like]
    rng = generator(options.seed, options.like, "clips")
    clips: list[ClipPlan] = []
    for subject, emotions in _dealt(options, rng):
        names = like.clips(generator(options.seed, options.like, subject, "names"), subject, emotions)
        clips += [_clip(options, subject, emotion, *name) for emotion, name in zip(emotions, names, strict=True)]
    if like.one_apex_lacks:
        number = int(rng.integers(len(clips)))
        clips[number] = replace(clips[number], coded_apex=None)
    return clips


def dealt(options: Options) -> list[tuple[str, list[str]]]:
    """Return the people of a database, each with the emotions that he or she shows, in order."""
    return _dealt(options, generator(options.seed, options.like, "clips"))


def _dealt(options: Options, rng: np.random.Generator) -> list[tuple[str, list[str]]]:
    like = LIKE[options.like]
    subjects = [like.subject(number) for number in range(options.subjects)]
    counts = [max(2, int(rng.poisson(options.clips))) if options.clips >= 2 else 1 for _ in subjects]
    emotions = iter(rng.permutation(_shares(like.emotions, sum(counts))).tolist())
    return [(subject, [next(emotions) for _ in range(count)]) for subject, count in zip(subjects, counts, strict=True)]


def film(options: Options, clip: ClipPlan, head: Head | None = None) -> Film:
    """Return the film of a clip, whose head may move. Its times are frame numbers minus ``clip.onset``."""
    like = LIKE[options.like]
    camera = like.full_camera if options.full_size else like.camera
    person = make_person(options.seed, f"{options.like}/{clip.subject}")
    return Film(person, clip.expression, camera, options.seed, f"{options.like}/{clip.name}", head)


def crop_box(film: Film) -> tuple[slice, slice]:
    """Return the rows and columns of a film's frames that the cropped variant shows.

    Of brows to chin it shows all, and to the sides little more than the eyes' outer corners: 1.7 times the distance
    between the eyes wide and 2.06 times high, which is the share of an aligned face that CASME II's crops of 280x340
    have.
    """
    eyes = (film.landmarks[36:42].mean(axis=0), film.landmarks[42:48].mean(axis=0))
    unit = float(((eyes[1] - eyes[0]) ** 2).sum() ** 0.5)
    middle_x, middle_y = (eyes[0] + eyes[1]) / 2
    left, top = round(float(middle_x - 0.85 * unit)), round(float(middle_y - 0.55 * unit))
    return slice(max(top, 0), top + round(2.06 * unit)), slice(max(left, 0), left + round(1.7 * unit))


def _clip(options: Options, subject: str, emotion: str, clip: str, folder: str, digits: int, onset: int) -> ClipPlan:
    like = LIKE[options.like]
    rng = generator(options.seed, options.like, subject, clip)
    habits = draw_habits(options.seed, f"{options.like}/{subject}", tuple(AUS))
    shown = str(rng.choice(like.expresses.get(emotion, (emotion.lower(),))))
    shortest, longest = like.frames
    if options.strength == "macro":
        shortest, longest = 2 * longest, 4 * longest
    expression = draw_expression(rng, shown, habits, options.strength, (shortest, longest))
    before, after = (int(value) for value in rng.integers(0, like.around + 1, 2))
    apex, offset = onset + expression.rise, onset + expression.rise + expression.fall
    # People who code frame by frame miss the apex by a few frames.
    coded = min(max(apex + round(float(rng.normal(0.0, 1.5))), onset + 1), offset - 1)
    return ClipPlan(
        subject=subject,
        clip=clip,
        folder=like.folder(folder, options.variant),
        digits=digits,
        emotion=emotion,
        expression=expression,
        first=max(onset - before, 1),
        onset=onset,
        apex=apex,
        offset=offset,
        last=offset + after,
        coded_apex=coded if like.coded else None,
    )


def _shares(shares: dict[str, float], count: int) -> list[str]:
    """Return ``count`` words in their shares, rounded so that every early word is there."""
    total = sum(shares.values())
    words: list[str] = []
    reached = 0.0
    for word, share in shares.items():
        reached += share / total * count
        words += [word] * (round(reached) - len(words))
    return words


def _casme2_clips(rng: np.random.Generator, subject: str, emotions: list[str]) -> list[tuple[str, str, int, int]]:
    names = []
    for number, _ in enumerate(emotions, start=1):
        clip = f"EP{int(rng.integers(1, 20)):02d}_{number:02d}" + ("f" if rng.uniform() < 0.4 else "")
        names.append((clip, f"CASME2_RAW_selected/{subject}/{clip}", 1, int(rng.integers(20, 500))))
    return names


def _samm_clips(rng: np.random.Generator, subject: str, emotions: list[str]) -> list[tuple[str, str, int, int]]:
    names = []
    for number, _ in enumerate(emotions, start=1):
        clip = f"{subject}_{int(rng.integers(1, 8))}_{number}"
        names.append((clip, f"{subject}/{clip}", int(rng.integers(4, 6)), int(rng.integers(100, 9000))))
    return names


SMIC_SHORT = {"negative": "ne", "positive": "po", "surprise": "sur"}
"""The classes of SMIC, and how names of clips begin with them."""


def _smic_clips(rng: np.random.Generator, subject: str, emotions: list[str]) -> list[tuple[str, str, int, int]]:
    names = []
    for number, emotion in enumerate(emotions, start=1):
        clip = f"{subject}_{SMIC_SHORT[emotion]}_{number:02d}"
        # Numbers restart with every recording, and a few recordings count from far on.
        onset = int(rng.integers(17_000_000, 17_900_000) if rng.uniform() < 0.05 else rng.integers(1, 3000))
        names.append((clip, f"HS/{subject}/micro/{emotion}/{clip}", 6, onset))
    return names


def _counted(form: str, skipped: tuple[int, ...], number: int) -> str:
    """Return the id of a subject: like the real ones, numbers leave gaps."""
    numbers = [value for value in range(1, 200) if value not in skipped]
    return form.format(numbers[number])


_CASME2 = Camera(640, 480, 235.0, 200.0, grey=False, noise=2.5, flicker=0.01)
_SAMM = Camera(816, 436, 205.0, 200.0, grey=True, noise=2.0, flicker=0.01)
_SMIC = Camera(320, 240, 150.0, 100.0, grey=False, noise=3.0, flicker=0.015)
LIKE: dict[str, Like] = {
    "casme2": Like(
        camera=_CASME2,
        full_camera=_CASME2,
        frames=(30, 85),
        around=6,
        emotions={
            "disgust": 0.33,
            "happiness": 0.22,
            "surprise": 0.18,
            "repression": 0.14,
            "others": 0.10,
            "sadness": 0.02,
            "fear": 0.01,
        },
        subject=partial(_counted, "sub{:02d}", ()),
        clips=_casme2_clips,
        stem="img",
        suffix=".jpg",
        crops=("CASME2_RAW_selected/", "Cropped/", "reg_img"),
        expresses={},
        one_apex_lacks=True,
    ),
    "samm": Like(
        camera=_SAMM,
        full_camera=Camera(2040, 1088, 512.0, 200.0, grey=True, noise=2.0, flicker=0.01),
        frames=(35, 90),
        around=6,
        emotions={
            "Anger": 0.34,
            "Happiness": 0.21,
            "Surprise": 0.15,
            "Contempt": 0.10,
            "Disgust": 0.07,
            "Other": 0.05,
            "Sadness": 0.04,
            "Fear": 0.04,
        },
        subject=partial(_counted, "{:03d}", (1, 2, 3, 4, 5, 8, 27, 29)),
        clips=_samm_clips,
        stem="{subject}_",
        suffix=".jpg",
        crops=("", "Cropped/", "{subject}_"),
        expresses={"Other": ("others",)},
    ),
    "smic": Like(
        camera=_SMIC,
        full_camera=Camera(640, 480, 235.0, 100.0, grey=False, noise=3.0, flicker=0.015),
        frames=(14, 40),
        around=0,
        emotions={"negative": 0.43, "positive": 0.31, "surprise": 0.26},
        subject=partial(_counted, "s{}", (7, 10, 16, 17)),
        clips=_smic_clips,
        stem="image",
        suffix=".bmp",
        crops=("HS/", "SMIC_all_cropped/HS/", "reg_image"),
        expresses={"negative": ("disgust", "anger", "sadness", "fear", "repression"), "positive": ("happiness",)},
        coded=False,
    ),
}
