"""Every named feature, computed from rendered films of one person: a neutral face that raises its brows, or smiles."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import pytest
from registered import every, passes

from bench.checks.check import Check
from bench.checks.rendered_clips import RenderedClips, rendered_clips
from preprocess.faces.landmark_sets import AU_GRAPH_12, BROWS_MOUTH_30
from preprocess.recipes import FEATURES
from preprocess.steps import STEPS, Work


@pytest.fixture(scope="module")
def clips() -> RenderedClips:
    return rendered_clips()


@pytest.mark.parametrize("check", every("feature", slow="*"))
def test_every_feature_passes_its_checks(check: Check) -> None:
    passes(check)


def test_the_systems_inputs_have_their_published_shapes() -> None:
    shapes = {name: FEATURES.get(name).shape for name in FEATURES.names()}
    assert shapes["stldn_patches"] == (459, 7, 7)
    assert shapes["stldn_maps"] == (9, 224, 224)
    assert shapes["flow_patches_30"] == (10, 9, 2, 30, 7, 7)
    assert shapes["shape_patches_30"] == (12, 30, 7, 7)
    assert shapes["landmarks_28"] == (68, 2)
    assert shapes["lbp_top"] == (11328,)
    assert shapes["mdmo"] == (72,)
    assert shapes["biwoof"] == (200,)
    assert shapes["roi_mosaic_28"] == (3, 28, 28)


@pytest.mark.slow
def test_region_vectors_show_which_part_of_the_face_moved_and_where_to(clips: RenderedClips) -> None:
    brows, mouth = slice(0, 6), [AU_GRAPH_12.index(48), AU_GRAPH_12.index(54)]
    raised, smiled = clips.tensor("au_rois_flow", "brows")[-1], clips.tensor("au_rois_flow", "smile")[-1]
    assert raised[brows, 1].max() < -0.8, "brows go up"
    assert np.hypot(*raised[mouth].T).max() < 0.5
    assert smiled[mouth, 1].max() < -0.8, "lip corners go up"
    assert smiled[mouth[0], 0] < -0.3, "and apart"
    assert smiled[mouth[1], 0] > 0.3
    assert np.hypot(*smiled[mouth].T).min() > 1.5 * np.hypot(*smiled[brows].T).max()


TO_APEX = 7
"""Steps of flow_patches_30 up to the apex."""


def brows_up(patches: np.ndarray) -> np.ndarray:
    """Return how far the brows go up in each step, (..., 9), of flow patches (..., 9, 2, 30, 7, 7)."""
    brow = [slot for slot, point in enumerate(BROWS_MOUTH_30) if point < 27]
    result: np.ndarray = -patches[..., 1, brow, :, :].mean(axis=(-3, -2, -1))
    return result


@pytest.mark.slow
def test_flow_patches_grow_with_the_magnification(clips: RenderedClips) -> None:
    patches = clips.tensor("flow_patches_30", "subtle")
    up = brows_up(patches)[:, :TO_APEX].sum(axis=1)
    assert np.all(np.diff(up) > 0)
    assert 1.8 < up[-1] / up[0] < 3.2, "levels run from 1.2 to 3.0"


@pytest.mark.slow
@pytest.mark.slow
def test_flow_patches_go_up_to_the_apex_and_back_to_the_offset(clips: RenderedClips) -> None:
    past, to_apex = (brows_up(clips.tensor(name)[4]) for name in ("flow_patches_30", "flow_patches_30_to_apex"))
    assert to_apex.min() > 0
    assert to_apex.sum() > 3.5
    assert past[:TO_APEX].sum() == pytest.approx(to_apex.sum(), rel=0.15)
    assert past[TO_APEX:].max() < -0.3 * to_apex.sum(), "half of the way back in each of the last two"
    assert abs(past.sum()) < 0.15 * to_apex.sum()


def test_descriptors_weigh_the_moving_half_of_the_face(clips: RenderedClips) -> None:
    for name, side in (("biwoof", 5), ("biwoof_100", 6)):
        raised = clips.tensor(name, "brows").reshape(side, side, 8).sum(axis=-1)
        smiled = clips.tensor(name, "smile").reshape(side, side, 8).sum(axis=-1)
        assert raised[:2].sum() / raised.sum() > smiled[:2].sum() / smiled.sum() + 0.1
    raised, smiled = clips.tensor("strain_grid_5", "brows")[0], clips.tensor("strain_grid_5", "smile")[0]
    assert raised[:2].mean() > 1.5 * raised[3:].mean()
    assert smiled[3:].mean() > smiled[:2].mean()
    rho_raised, rho_smiled = clips.tensor("mdmo", "brows")[:36], clips.tensor("mdmo", "smile")[:36]
    forehead, mouth = slice(0, 6), slice(22, 28)
    assert rho_raised[forehead].mean() > 2 * rho_raised[mouth].mean()
    assert rho_smiled[mouth].mean() > 1.3 * rho_smiled[forehead].mean()


def test_landmarks_lie_on_the_same_picture_as_the_flow(clips: RenderedClips) -> None:
    points = clips.tensor("landmarks_28")
    strain = clips.tensor("flow_uvs_28")[2].astype(float)
    brows = np.rint(points[17:27]).astype(int)
    assert np.all((points > -1) & (points < 28.5))
    assert strain[brows[:, 1], brows[:, 0]].mean() > 2 * strain[20:, 8:20].mean()
    centres = clips.tensor("face_areas_28")
    assert np.allclose(centres[0], np.clip(points[36:42].mean(axis=0), 7, 21), atol=1e-4)


def test_mosaics_show_the_motion_in_the_tile_of_its_region(clips: RenderedClips) -> None:
    raised, smiled = (clips.tensor("roi_mosaic_28", name)[2].astype(float) for name in ("brows", "smile"))
    assert raised[:14].mean() > 1.5 * raised[14:, 14:].mean()
    assert smiled[14:, 14:].mean() > smiled[:14].mean()


@pytest.mark.slow
def test_the_published_divisor_squeezes_the_same_patches(clips: RenderedClips) -> None:
    sane, published = clips.tensor("stldn_patches_equal_steps"), clips.tensor("stldn_patches_as_published")
    assert np.allclose(sane * 65, published * 986, atol=1e-3)
    assert 0.9 < sane.max() <= 1
    assert published.max() < 0.067
    assert clips.tensor("stldn_maps").max() <= 65


def test_steps_that_features_begin_with_run_once_and_give_the_same_bytes(
    clips: RenderedClips, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("flow_uvs_28", "flow_uvs_60", "strain_grid_5", "biwoof_as_published")
    alone = [clips.compute(name, "smile").tobytes() for name in names]
    flow = STEPS.get("flow")
    runs: list[dict[str, Any]] = []

    @functools.wraps(flow.run)
    def counted(work: Work, **options: Any) -> Work:
        runs.append(options)
        return flow.run(work, **options)

    monkeypatch.setitem(STEPS._entries, "flow", dataclasses.replace(flow, run=counted))
    made: dict[str, Work] = {}
    works = [FEATURES.get(name).compute(clips.clips["smile"], clips.finder, made) for name in names]
    assert [work.tensor.tobytes() for work in works if work.tensor is not None] == alone
    assert len(runs) == 1
    FEATURES.get("flow_uv_100").compute(clips.clips["smile"], clips.finder, made)
    assert [options["head_motion"] for options in runs] == ["keep", "remove"], "other options are another flow"
