"""Finding faces: the usual way, every fallback, what must not pass for a face, and what is remembered."""

from __future__ import annotations

import dataclasses
import importlib.util
import pickle
import weakref
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import portraits
import pytest
from _pytest.mark import ParameterSet
from rendered_faces import FACES

from preprocess.base.errors import DataError, UsageError
from preprocess.base.recent import Recent
from preprocess.faces.detectors import Box, Detectors
from preprocess.faces.face import Face
from preprocess.faces.finder import DlibFaceFinder, NoFaceError
from preprocess.faces.fit import Fit, eye_distance
from preprocess.faces.model_files import LANDMARKS, model_file
from preprocess.samples.clip import ClipError
from preprocess.steps import STEPS, Work

# Loading the models takes longer than finding a face.
SHARED = Detectors()


class Blinded(Detectors):
    """The real detectors, some of which are made to see nothing: fallbacks are rare on sound pictures."""

    def __init__(self, *blind: str) -> None:
        super().__init__()
        self.__dict__.update({name: getattr(SHARED, name) for name in ("_hog", "_cnn", "_predictor")})
        self.blind = blind
        self.asked: list[str] = []

    def _ask(self, way: str, picture: np.ndarray, longest: int) -> list[Box]:
        self.asked.append(way)
        return [] if way in self.blind else getattr(super(), way)(picture, longest)

    def hog(self, picture: np.ndarray, longest: int) -> list[Box]:
        return self._ask("hog", picture, longest)

    def hog_padded(self, picture: np.ndarray, longest: int, margin: float = 0.4) -> list[Box]:
        # The real one asks ``hog``, which may be blind.
        self.asked.append("hog_padded")
        return [] if "hog_padded" in self.blind else SHARED.hog_padded(picture, longest, margin)

    def cnn(self, picture: np.ndarray, longest: int) -> list[Box]:
        return self._ask("cnn", picture, longest)


def finder_with(detectors: Detectors) -> DlibFaceFinder:
    finder = DlibFaceFinder()
    finder._detectors = detectors
    return finder


def tight(picture: np.ndarray) -> np.ndarray:
    """Return the face from the brows to the chin, as databases ship cropped clips."""
    return np.ascontiguousarray(picture[110:390, 205:440])


def middle(face: Face) -> np.ndarray:
    return face.landmarks[17:].mean(axis=0)


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    return portraits.frame()


@pytest.fixture(scope="module")
def finder() -> DlibFaceFinder:
    return finder_with(SHARED)


@pytest.mark.slow
def test_the_face_of_the_onset_is_found_where_it_is(
    tmp_path: Path, portrait: np.ndarray, finder: DlibFaceFinder
) -> None:
    face = finder.find(portraits.clip_of(portraits.write_frames(tmp_path, [portrait] * 2, first=7)))
    assert (face.way, face.frame, face.faces) == ("hog", 7, 1)
    assert face.landmarks.shape == (68, 2)
    assert face.landmarks.dtype == np.float32
    assert np.linalg.norm(face.landmarks[27:36].mean(axis=0) - portraits.NOSE) < 3
    assert face.box[0] < portraits.NOSE[0] < face.box[2]


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.4, 1.0, 3.2])
def test_landmarks_do_not_depend_on_the_size_of_the_picture(
    tmp_path: Path, portrait: np.ndarray, finder: DlibFaceFinder, scale: float
) -> None:
    size = (round(640 * scale), round(480 * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    face = finder.find(
        portraits.clip_of(portraits.write_frames(tmp_path, [cv2.resize(portrait, size, None, 0, 0, way)]))
    )
    assert np.linalg.norm(face.landmarks[27:36].mean(axis=0) / scale - portraits.NOSE) < 4


def test_of_two_faces_the_larger_one_is_taken(tmp_path: Path, portrait: np.ndarray, finder: DlibFaceFinder) -> None:
    both = np.hstack([cv2.resize(portrait, (320, 240)), np.zeros((240, 20, 3), np.uint8)])
    both = np.hstack([np.vstack([both, both]), portrait])
    face = finder.find(portraits.clip_of(portraits.write_frames(tmp_path, [both])))
    assert face.faces == 3
    assert np.linalg.norm(face.landmarks[27:36].mean(axis=0) - portraits.NOSE - [340, 0]) < 4


def test_a_face_that_the_onset_lacks_is_found_in_a_near_frame(
    tmp_path: Path, portrait: np.ndarray, finder: DlibFaceFinder
) -> None:
    grass = portraits.without_face()
    files = portraits.write_frames(tmp_path, [grass] * 3 + [portrait] * 5)
    face = finder.find(portraits.clip_of(files))
    assert face.way == "hog"
    assert face.frame in (4, 5)


def test_a_damaged_onset_does_not_hide_the_face(tmp_path: Path, portrait: np.ndarray, finder: DlibFaceFinder) -> None:
    files = portraits.write_frames(tmp_path, [portrait] * 3)
    files[1].write_bytes(b"")
    assert finder.find(portraits.clip_of(files)).frame == 2


@pytest.mark.slow
def test_no_face_in_any_frame_is_an_error_that_lists_what_was_tried(tmp_path: Path, finder: DlibFaceFinder) -> None:
    clip = portraits.clip_of(portraits.write_frames(tmp_path, [portraits.without_face()] * 2))
    tried = "hog on frame 1, hog on frame 2, hog_padded on frame 1, cnn on frame 1, cnn on frame 2"
    with pytest.raises(NoFaceError, match=rf"casme2/sub01/EP01: no face was found; tried {tried}\. "):
        finder.find(clip)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("blind", "way"),
    [
        ((), "hog"),
        (("hog",), "hog_padded"),
        (("hog", "hog_padded"), "cnn"),
        (("hog", "hog_padded", "cnn"), "rectangle"),
    ],
)
def test_a_tight_crop_gets_the_same_landmarks_whatever_way_finds_it(
    tmp_path: Path, portrait: np.ndarray, finder: DlibFaceFinder, blind: tuple[str, ...], way: str
) -> None:
    whole = finder.find(portraits.clip_of(portraits.write_frames(tmp_path / "whole", [portrait])))
    clip = portraits.clip_of(portraits.write_frames(tmp_path / "crop", [tight(portrait)]))
    face = finder_with(Blinded(*blind)).find(clip)
    assert face.way == way
    assert np.linalg.norm(face.landmarks[17:] + np.float32([205, 110]) - whole.landmarks[17:], axis=1).mean() < 4


def test_a_whole_recording_never_passes_for_a_face(tmp_path: Path, portrait: np.ndarray) -> None:
    clip = portraits.clip_of(portraits.write_frames(tmp_path, [portrait]))
    with pytest.raises(NoFaceError) as caught:
        finder_with(Blinded("hog", "hog_padded", "cnn")).find(clip)
    assert "rectangle" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["grass", "brick", "gravel", "coins", "moon", "text", "coffee"])
def test_what_is_shaped_like_a_crop_and_shows_no_face_is_refused(tmp_path: Path, name: str) -> None:
    import skimage.data

    picture = getattr(skimage.data, name)()
    clip = portraits.clip_of(portraits.write_frames(tmp_path, [cv2.resize(picture, (240, 280))]))
    with pytest.raises(NoFaceError, match="rectangle on frame 1"):
        finder_with(Blinded("cnn")).find(clip)


@pytest.mark.slow
def test_the_cnn_detector_is_asked_first_by_option(tmp_path: Path, portrait: np.ndarray) -> None:
    detectors = Blinded()
    clip = portraits.clip_of(portraits.write_frames(tmp_path, [portrait]))
    face = finder_with(detectors).find(clip, "cnn")
    assert face.way == "cnn"
    assert detectors.asked == ["cnn"]
    with pytest.raises(UsageError, match="Did you mean: hog"):
        finder_with(detectors).find(clip, "hogg")


def test_a_face_is_found_once(tmp_path: Path, portrait: np.ndarray) -> None:
    clip = portraits.clip_of(portraits.write_frames(tmp_path / "clip", [portrait]))
    detectors = Blinded()
    finder = finder_with(detectors)
    first = finder.find(clip)
    assert detectors.asked == ["hog"]
    again = finder.find(clip)
    assert detectors.asked == ["hog"]
    assert (again.box, again.frame, again.way, again.faces) == (first.box, first.frame, first.way, first.faces)
    assert np.array_equal(again.landmarks, first.landmarks)


def test_landmarks_are_fitted_once_a_picture_of_which_only_a_hash_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an HD film, 256 pictures would be half a gigabyte."""
    asked: list[float] = []

    class Counting(Detectors):
        def fit(self, picture: np.ndarray, box: Box, turn: float = 0.0, *, fine: bool = False) -> Fit:
            asked.append(float(picture.mean()))
            return Fit(np.full((68, 2), picture.mean(), np.float32), 0.0)

    monkeypatch.setattr("preprocess.faces.finder._FITS", Recent(2))
    finder, box = finder_with(Counting()), (1, 2, 3, 4)
    pictures = [np.full((40, 50), grey, np.uint8) for grey in (10, 20, 30)]
    kept = [weakref.ref(picture) for picture in pictures]
    for place in (0, 1, 0, 2, 0, 1):
        assert finder.landmarks(pictures[place], box)[0, 0] == 10 * (place + 1)
    assert asked == [10, 20, 30, 20], "the one asked for longest ago goes first"
    assert finder.landmarks(pictures[0], box, 90.0)[0, 0] == 10
    assert finder.landmarks(pictures[0], (0, 2, 3, 4))[0, 0] == 10
    assert len(asked) == 6, "another box or turn is another fit"
    with pytest.raises(ValueError, match="read-only"):
        finder.landmarks(pictures[0], (0, 2, 3, 4))[0] = 1
    pictures.clear()
    assert [picture() for picture in kept] == [None] * 3


@pytest.mark.slow
def test_a_clip_without_a_face_is_remembered_too(tmp_path: Path) -> None:
    clip = portraits.clip_of(portraits.write_frames(tmp_path / "clip", [portraits.without_face()]))
    detectors = Blinded("cnn")
    finder, messages, asked = finder_with(detectors), [], []
    for _ in range(2):
        with pytest.raises(NoFaceError) as caught:
            finder.find(clip)
        messages.append(str(caught.value))
        asked.append(len(detectors.asked))
    assert messages[0] == messages[1]
    assert asked[0] == asked[1] > 0


def test_a_changed_clip_is_searched_anew(tmp_path: Path, portrait: np.ndarray) -> None:
    clip = portraits.clip_of(portraits.write_frames(tmp_path / "clip", [portrait]))
    finder = finder_with(Blinded())
    face = finder.find(clip)
    portraits.write_frames(tmp_path / "clip", [portraits.frame(portraits.shift(30, 0))])
    moved = finder.find(clip)
    assert abs(middle(moved)[0] - middle(face)[0] - 30) < 3


@pytest.mark.slow
def test_a_finder_travels_to_another_process(tmp_path: Path, portrait: np.ndarray, finder: DlibFaceFinder) -> None:
    clip = portraits.clip_of(portraits.write_frames(tmp_path, [portrait]))
    face = finder.find(clip)
    assert np.array_equal(pickle.loads(pickle.dumps(DlibFaceFinder())).find(clip).landmarks, face.landmarks)


def test_a_frame_that_cannot_be_read_is_not_called_a_clip_without_a_face(
    tmp_path: Path, portrait: np.ndarray, finder: DlibFaceFinder
) -> None:
    files = portraits.write_frames(tmp_path, [portrait])
    files[1].write_bytes(b"")
    with pytest.raises(ClipError, match="is empty") as caught:
        finder.find(portraits.clip_of(files))
    assert not isinstance(caught.value, NoFaceError)


def test_the_model_files_are_found_without_importing_their_package() -> None:
    spec = importlib.util.find_spec("face_recognition_models")
    assert spec is not None
    assert spec.origin is not None
    assert model_file(LANDMARKS).parent == Path(spec.origin).parent / "models"


def test_model_files_that_are_not_there_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=f"{LANDMARKS} is not in {tmp_path}"):
        model_file(LANDMARKS, tmp_path)
    monkeypatch.setenv("MERBENCH_DLIB_MODELS", str(tmp_path / "other"))
    with pytest.raises(DataError, match="other"):
        model_file(LANDMARKS)
    monkeypatch.delenv("MERBENCH_DLIB_MODELS")
    monkeypatch.setattr("preprocess.faces.model_files.find_spec", lambda name: None)
    with pytest.raises(DataError, match="not installed"):
        model_file(LANDMARKS)


def turned(picture: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture turned clockwise, large enough to hold all of it, and the transform."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), -degrees, 1.0)
    cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = round(width * cos + height * sin), round(height * cos + width * sin)
    matrix[:, 2] += [(size[0] - width) / 2, (size[1] - height) / 2]
    return cv2.warpAffine(picture, matrix, size), matrix


def roll(degrees: int, number: int, cut: bool) -> ParameterSet:
    """Return a case; one of them stays in the quick run."""
    quick = degrees == 15
    return pytest.param(degrees, number, cut, id=f"{degrees}-{cut}", marks=() if quick else pytest.mark.slow)


# One face after the other. Each case costs seconds: the CNN detector looks at every frame in which HOG sees no face.
ROLLS = [
    roll(degrees, number % 4, cut)
    for cut, rolls in ((True, (-165, -105, -75, -15, 15, 45, 90, 135, 180)), (False, (-135, -45, 180)))
    for number, degrees in enumerate(rolls)
]


@pytest.mark.parametrize(("degrees", "number", "cut"), ROLLS)
def test_a_face_that_is_turned_gets_the_right_points_or_none(
    tmp_path: Path, finder: DlibFaceFinder, degrees: int, number: int, cut: bool
) -> None:
    sight = FACES[number]()
    picture, true = sight.picture, sight.landmarks
    if cut:
        left, right, low = true[0, 0] - 20, true[16, 0] + 20, true[8, 1] + 10
        top = max(0, low - (right - left) * 1.2)
        edges = [round(float(edge)) for edge in (left, top, right, low)]
        picture, true = picture[edges[1] : edges[3], edges[0] : edges[2]], true - edges[:2]
    rolled, matrix = turned(picture, degrees)
    clip = portraits.clip_of(portraits.write_frames(tmp_path, [rolled] * 2))
    try:
        face = finder.find(clip)
    except NoFaceError:
        # Refused is right, but for a roll that HOG knows.
        assert abs(degrees) > 30
        return
    there = true @ matrix[:, :2].T + matrix[:, 2]
    unit = eye_distance(there)
    assert np.linalg.norm(face.landmarks - there, axis=1)[17:].mean() < 0.1 * unit
    assert abs((face.turn - degrees + 180) % 360 - 180) < 10
    if abs(degrees) >= 45:
        assert any("turned by" in note for note in face.notes)


@pytest.mark.slow
def test_half_a_face_at_the_edge_is_refused_or_right(tmp_path: Path, finder: DlibFaceFinder) -> None:
    kept, refused = 0, list[str]()
    for number, look in enumerate(FACES[:2]):
        sight = look()
        true, width = sight.landmarks, sight.picture.shape[1]
        unit = eye_distance(true)
        edges = np.linspace(true[0, 0], true[36:48, 0].mean() + 0.3 * unit, 5)
        for step, edge in enumerate(edges.round().astype(int).tolist()):
            part = np.ascontiguousarray(sight.picture[:, edge:width])
            clip = portraits.clip_of(portraits.write_frames(tmp_path / f"{number}-{step}", [part] * 2))
            try:
                face = finder.find(clip)
            except NoFaceError as error:
                refused.append(str(error))
                # What shows both eyes is a face.
                assert edge > true[36, 0]
                continue
            kept += 1
            assert np.linalg.norm(face.landmarks + np.array([edge, 0]) - true, axis=1)[17:].mean() < 0.1 * unit
            if edge > true[17, 0] + 0.2 * unit:
                assert any("outside of the picture" in note for note in face.notes)
    assert kept >= 4
    assert any("lies outside of the picture" in reason for reason in refused)


def test_a_single_frame_is_told(tmp_path: Path, portrait: np.ndarray, finder: DlibFaceFinder) -> None:
    one = finder.find(portraits.clip_of(portraits.write_frames(tmp_path / "one", [portrait])))
    assert any("only one frame" in note for note in one.notes)
    two = finder.find(portraits.clip_of(portraits.write_frames(tmp_path / "two", [portrait] * 2)))
    assert two.notes == ()


class Misled(Blinded):
    """The real detectors, whose fits put the mouth on the chin where told."""

    def __init__(self, wrong: Callable[[np.ndarray, Box], bool], share: float = 0.4) -> None:
        super().__init__()
        self.wrong, self.share = wrong, share

    def _chin(self, picture: np.ndarray, box: Box, points: np.ndarray) -> np.ndarray:
        if self.wrong(picture, box):
            points = points.copy()
            points[48:] += np.float32([0, self.share]) * eye_distance(points)
        return points

    def fit(self, picture: np.ndarray, box: Box, turn: float = 0.0, *, fine: bool = False) -> Fit:
        fit = super().fit(picture, box, turn, fine=fine)
        return dataclasses.replace(fit, landmarks=self._chin(picture, box, fit.landmarks))

    def look(self, picture: np.ndarray, fit: Fit) -> np.ndarray:
        return self._chin(picture, (0, 0, 0, 0), super().look(picture, fit))


def mouth_error(face: Face, right: Face) -> float:
    away = (face.landmarks - right.landmarks)[48:].mean(axis=0)
    return float(np.linalg.norm(away)) / eye_distance(right.landmarks)


def test_a_mouth_on_the_chin_is_fitted_again_in_another_box(
    tmp_path: Path, portrait: np.ndarray, finder: DlibFaceFinder
) -> None:
    clip = portraits.clip_of(portraits.write_frames(tmp_path, [portrait] * 2))
    right = finder.find(clip)
    face = finder_with(Misled(lambda picture, box: box == right.box)).find(clip)
    assert mouth_error(face, right) < 0.05
    assert any("fitted again" in note and "mouth" in note for note in face.notes)


def test_a_mouth_that_no_other_frame_shows_there_is_taken_from_another_frame(
    tmp_path: Path, portrait: np.ndarray, finder: DlibFaceFinder
) -> None:
    # A quarter of the eyes' distance is within what faces allow; only the other frames tell.
    bright = np.clip(portrait.astype(int) + 6, 0, 255).astype(np.uint8)
    clip = portraits.clip_of(portraits.write_frames(tmp_path, [bright, *[portrait] * 5]))
    right = finder.find(portraits.clip_of(portraits.write_frames(tmp_path / "right", [portrait] * 2)))
    onset = cv2.cvtColor(bright, cv2.COLOR_RGB2GRAY)
    misled = Misled(lambda picture, box: abs(float(picture.mean()) - float(onset.mean())) < 1, share=0.18)
    face = finder_with(misled).find(clip)
    assert face.frame != 1
    assert mouth_error(face, right) < 0.05
    assert any("landmarks of frame 1 lie elsewhere" in note for note in face.notes)


@pytest.mark.slow
def test_a_mouth_on_the_chin_in_every_fit_is_no_face(tmp_path: Path, portrait: np.ndarray) -> None:
    clip = portraits.clip_of(portraits.write_frames(tmp_path, [portrait] * 2))
    with pytest.raises(NoFaceError):
        finder_with(Misled(lambda picture, box: True)).find(clip)


@pytest.mark.slow
def test_what_was_measured_of_a_face_reaches_the_clip(
    tmp_path: Path, portrait: np.ndarray, finder: DlibFaceFinder
) -> None:
    rolled, _ = turned(portrait, 90)
    clip = portraits.clip_of(portraits.write_frames(tmp_path, [rolled] * 2))
    step = STEPS.get("face")
    work = step.run(Work(clip=clip, finder=finder), **step.options({}, "test"))
    assert any("turned by 90" in note or "turned by 8" in note or "turned by 9" in note for note in work.notes)
    assert 0 < work.quality["spread mouth"] < 0.03
    # Aligned, the face is upright.
    assert work.transform is not None
    aligned = work.face.landmarks @ work.transform[:, :2].T + work.transform[:, 2]
    assert abs(aligned[36:42].mean(axis=0) - aligned[42:48].mean(axis=0))[1] < 4
