"""Alignment in the flow domain: the head's own motion vanishes, the face's stays."""

from __future__ import annotations

import numpy as np
import pytest
from works import constant_flow, run, standard_face, work_of

from preprocess.base.errors import UsageError
from preprocess.steps.strain import optical_strain

FACE = standard_face(112)


def head_flow(angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    """The flow of a picture that turns by an angle about (50, 60), grows, and is shifted."""
    y, x = np.mgrid[:112, :112].astype(float)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    u = 50 + cos * (x - 50) - sin * (y - 60) + shift[0] - x
    v = 60 + sin * (x - 50) + cos * (y - 60) + shift[1] - y
    return np.stack([u, v], axis=-1)[None, None].astype(np.float32)


def aligned(flow: np.ndarray, **options: object) -> np.ndarray:
    result = run("align_flow", work_of(flow=flow, landmarks=FACE), **options).flow
    assert result is not None
    assert result.dtype == np.float32
    return result


@pytest.mark.parametrize("points", ["rigid_19", "mdmo_13"])
def test_a_head_that_shifts_turns_and_comes_nearer_has_no_motion_within(points: str) -> None:
    flow = np.concatenate([head_flow(0.02, 1.01, (1.5, -0.7)), head_flow(-0.05, 0.97, (0, 2))], axis=1)
    found = aligned(flow, points=points)
    # Within the face only: medians of windows are cut where landmarks lie on the border.
    assert np.abs(found[..., 10:100, 10:100, :]).max() < 0.05
    assert np.abs(flow[..., 10:100, 10:100, :]).max() > 2


def test_what_the_mouth_does_stays() -> None:
    still = constant_flow(0, 0, size=112)
    x, y = np.rint(FACE[0, 48]).astype(int)
    still[0, 0, y - 4 : y + 5, x - 4 : x + 5] = (-1, -2)
    moved = head_flow(0.02, 1.01, (1.5, -0.7)) + still
    found = aligned(moved)
    assert np.allclose(found[0, 0, y, x], (-1, -2), atol=0.1)
    assert np.abs(found[0, 0, 20:30, 40:70]).max() < 0.05
    # A head that comes nearer strains every pixel; aligned, the mouth alone.
    before, after = optical_strain(moved)[0, 0], optical_strain(found)[0, 0]
    assert before[20:30, 40:70].mean() > 0.01 > 10 * after[20:30, 40:70].mean()


def test_every_level_and_pair_is_aligned_by_itself() -> None:
    pairs = [head_flow(angle, 1, (angle * 10, 0)) for angle in (0.0, 0.01, 0.02, -0.03)]
    flow = np.concatenate([np.concatenate(pairs[:2], axis=1), np.concatenate(pairs[2:], axis=1)])
    found = aligned(flow)
    assert found.shape == (2, 2, 112, 112, 2)
    assert np.abs(found[..., 10:100, 10:100, :]).max() < 0.05


def test_bad_input() -> None:
    with pytest.raises(UsageError, match="Unknown landmark set 'nose'"):
        aligned(head_flow(0, 1, (0, 0)), points="nose")
    with pytest.raises(UsageError, match="put the step landmarks before"):
        run("align_flow", work_of(flow=head_flow(0, 1, (0, 0))))
