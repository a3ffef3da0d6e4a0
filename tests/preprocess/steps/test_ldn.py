"""Local directional numbers against hand-computed pixels, rotations, and the definition of the triple."""

from __future__ import annotations

import numpy as np
import pytest
from works import run, standard_face, tensor, work_of

from preprocess.base.errors import UsageError
from preprocess.samples.clip import ClipError

RANDOM = np.random.default_rng(5).integers(0, 200, (5, 12, 12), dtype=np.uint8)


def grey(frames: np.ndarray) -> np.ndarray:
    return np.asarray(frames)[None, ..., None]


def codes(frames: np.ndarray) -> np.ndarray:
    result = run("ldn", work_of(frames=grey(frames))).frames
    assert result is not None
    return result[0, ..., 0]


def stldn(frames: np.ndarray, **options: object) -> np.ndarray:
    result = run("stldn", work_of(frames=grey(frames)), **options).frames
    assert result is not None
    return result[0, ..., 0]


def test_hand_computed_codes() -> None:
    # Bright on the east: responses E 150, NE 70, N -10, NW -90, W -90, SW -90, S -10, SE 70.
    east = np.uint8([[[0, 0, 10]] * 3])
    assert codes(east)[0, 1, 1] == 8 * 0 + 3
    # One bright pixel in the north-west: N, NW and W see it with weight 5 (150), all others with -3 (-90).
    corner = np.uint8([[[30, 0, 0], [0, 0, 0], [0, 0, 0]]])
    assert codes(corner)[0, 1, 1] == 8 * 2 + 0
    assert not codes(np.full((1, 5, 5), 77, np.uint8)).any()


def test_a_constant_added_changes_nothing() -> None:
    assert np.array_equal(codes(RANDOM), codes(RANDOM + 50))
    assert np.array_equal(stldn(RANDOM), stldn(RANDOM + 50))


def test_a_quarter_turn_of_the_picture_turns_every_direction_by_two() -> None:
    # Weights that make all sums of three neighbours different, so that no tie depends on the order of directions.
    frames = np.random.default_rng(7).random((1, 12, 12)).astype(np.float32) * 255
    before = np.rot90(codes(frames)[0]).astype(int)
    after = codes(np.ascontiguousarray(np.rot90(frames, axes=(1, 2))))[0].astype(int)
    inner = (slice(1, -1),) * 2
    assert np.array_equal(after[inner] // 8, ((before // 8 + 2) % 8)[inner])
    assert np.array_equal(after[inner] % 8, ((before % 8 + 2) % 8)[inner])


def test_the_strongest_direction_points_to_the_brighter_side() -> None:
    y, x = np.mgrid[:9, :9]
    for direction in range(8):
        angle = direction * np.pi / 4
        ramp = np.float32(100 + 10 * (x * np.cos(angle) - y * np.sin(angle)))[None]
        assert codes(ramp)[0, 4, 4] // 8 == direction


def test_stldn_is_the_place_of_largest_and_smallest_code_of_each_triple() -> None:
    plain = codes(RANDOM).astype(int).tolist()
    maps = stldn(RANDOM)
    assert maps.shape == (3, 12, 12)
    assert maps.dtype == np.uint8
    for t in range(3):
        for y in range(12):
            for x in range(12):
                triple = [plain[t + i][y][x] for i in range(3)]
                assert maps[t, y, x] == 32 * triple.index(max(triple)) + triple.index(min(triple))
    assert maps.max() <= 65


def test_divisors_scale_the_same_codes() -> None:
    plain = stldn(RANDOM).astype(np.float64)
    assert np.allclose(stldn(RANDOM, divisor=986) * 986, plain, atol=1e-4)
    assert np.allclose(stldn(RANDOM, divisor=65) * 65, plain, atol=1e-4)
    assert stldn(RANDOM, divisor=986).max() < 0.067


def test_responses_of_a_still_clip_tell_the_directions_of_its_first_frame() -> None:
    still = np.repeat(RANDOM[:1], 3, axis=0)
    plain = codes(still[:1])[0].astype(int)
    assert np.array_equal(stldn(still, over="responses")[0], 32 * (plain // 8) + plain % 8)
    # The strongest of 24 responses lies in the last frame when that has most contrast.
    rising = np.stack([still[0] // 4, still[0] // 2, still[0]])
    strong = stldn(rising, over="responses")[0]
    assert np.mean(strong // 32 >= 16) > 0.95
    assert strong.max() <= 758


def test_landmarks_numbers_and_key_become_those_of_the_middle_frames() -> None:
    faces = np.concatenate([standard_face(12) + t for t in range(5)])
    work = work_of(frames=grey(RANDOM), landmarks=faces, numbers=(3, 5, 7, 9, 11), key=(("onset", 0), ("apex", 3)))
    result = run("stldn", work)
    assert result.numbers == (5, 7, 9)
    assert result.key == (("apex", 2),)
    assert np.array_equal(result.landmarks, faces[1:4])
    cut = tensor("patches", result, of="frames", points="inner_51", merge=True, dtype="uint8")
    assert cut.shape == (3 * 51, 7, 7)


def test_bad_input() -> None:
    with pytest.raises(ClipError, match="casme2/sub01/EP01: step stldn needs at least 3 frames; 2"):
        stldn(RANDOM[:2])
    with pytest.raises(UsageError, match="divisor is 0"):
        stldn(RANDOM, divisor=0)
    with pytest.raises(UsageError, match="grey frames; these have 3 channels"):
        run("ldn", work_of(frames=np.zeros((1, 3, 8, 8, 3), np.uint8)))
