"""Steps that name a publication: their numbers are those of its public code, or they say that nobody checked."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from works import run, standard_face, tensor, work_of

import preprocess
from preprocess.recipes import FEATURES
from preprocess.steps import STEPS, Work

PAGE = (Path(preprocess.__path__[0]) / "README.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| `([^|`]+)` \| ([^|]+) \|$", PAGE.partition("## Checked against")[2], re.MULTILINE)
CITES = re.compile(r"et al\.|\nReferences\n|public code|as_published|\b(?:19|20)\d\d\b|\b[A-Z][\w-]*Net\b|SAMER|SLSTT")
Y, X = np.mgrid[:126, :126]
WAVES = np.stack([np.sin(0.11 * X + 0.07 * Y) + 0.3, np.cos(0.05 * X - 0.13 * Y)], axis=-1).astype(np.float32)


def of(feature: str, work: Work, *steps: str) -> Work:
    """Run some steps of a built-in feature with its options."""
    options = dict(FEATURES.get(feature).steps)
    for step in steps:
        work = run(step, work, **options[step])
    return work


def result(work: Work) -> np.ndarray:
    assert work.tensor is not None
    return work.tensor


def docstring(step: str) -> str:
    return inspect.getdoc(STEPS.get(step).run) or ""


def checked(step: str) -> str:
    """Return what the docstring of a step says of what it was checked against, in one line; "" for nothing."""
    return " ".join(docstring(step).partition("\nChecked\n-------\n")[2].split())


def test_biwoof_as_published_is_that_of_its_authors_script() -> None:
    """Of christy1206/biwoof@0b57b37c571e, biwoof.m, in Octave; sides of 57 and 63 pixels leave 2 and 3 over."""
    flow = WAVES[:57, :63].astype(np.float64)
    strain = (1 + 0.01 * X + 0.02 * Y)[:57, :63]
    found = result(of("biwoof_as_published", work_of(flow=flow[None, None], strain=strain[None, None]), "biwoof"))
    published = {
        0: [0, 0, 0, 0, 0.120833, 0.028201, 0, 0],
        7: [0.003056, 0, 0, 0, 0, 0.008119, 0.179215, 0.049613],
        12: [0.079251, 0.128931, 0.013713, 0, 0, 0, 0.005217, 0.045585],
        20: [0, 0, 0, 0, 0, 0.027064, 0.263322, 0.014263],
        24: [0.017870, 0.124471, 0.181012, 0.132532, 0.007776, 0, 0, 0],
    }
    assert found.shape == (200,)
    for block, histogram in published.items():
        np.testing.assert_allclose(found.reshape(25, 8)[block], histogram, atol=1e-6)


def test_biwoof_100_is_that_of_the_benchmark_that_it_names() -> None:
    """Of xiazhaoqiang/Benchmark-MicroExpressionRec@78d418c5fa06, core/Features.py: BiWOOF((6, 6), 8, (60, 60))."""
    found = result(of("biwoof_100", work_of(flow=WAVES[None, None]), "strain", "biwoof"))
    published = {
        0: [0, 0, 0, 22.8997, 71.8588, 18, 0, 0.0489],
        7: [17.5515, 52.2932, 30.1301, 13.2698, 0.5389, 0.9755, 4.3164, 7.1744],
        17: [12.5239, 8.3314, 5.5761, 2.5084, 18.5595, 24.7971, 40.7372, 12.5312],
        35: [0, 0.7535, 22.4052, 81.8490, 5.1862, 0, 0, 0],
    }
    assert found.shape == FEATURES.get("biwoof_100").shape == (288,)
    for block, histogram in published.items():
        np.testing.assert_allclose(found.reshape(36, 8)[block], histogram, atol=2e-4)


def test_lbp_top_without_interpolation_is_that_of_the_benchmark_that_it_names() -> None:
    """Of xiazhaoqiang/Benchmark-MicroExpressionRec@78d418c5fa06, core/Features.py: LBP_TOP. All 5,664 are equal."""
    t, y, x = np.mgrid[:11, :61, :70]
    clip = (127 + 60 * np.sin(0.31 * x + 0.2 * t) + 60 * np.cos(0.23 * y - 0.3 * t + 0.001 * x * y)).astype(np.uint8)
    found = result(of("lbp_top_4x4x2_as_published", work_of(frames=clip[None, ..., None]), "lbp_top"))
    published = {
        (0, 0, 0): [0.002101, 0.005252, 0.004202, 0.177521, 0.642857, 0.152311, 0.009454, 0, 0.002101, 0.004202],
        (1, 5, 1): [0, 0, 0.004202, 0.103992, 0.603992, 0.245798, 0.02416, 0.008403, 0.005252, 0.004202],
        (2, 15, 0): [0.005252, 0.005252, 0.053571, 0.125, 0.698529, 0.068277, 0.023109, 0.007353, 0.00105, 0.012605],
    }
    assert "interpolate" not in dict(FEATURES.get("lbp_top_4x4x2_as_published").steps)
    for place, histogram in published.items():
        np.testing.assert_allclose(found.reshape(3, 16, 2, 59)[place][:10], histogram, atol=1e-6)


def test_au_rois_are_those_of_auw_gcn() -> None:
    """Of xjtupanda/AUW-GCN@03c86f3dd84e, feature_extraction/tools.py: calculate_roi_freature_list."""
    found = tensor("au_rois", work_of(flow=WAVES[None, None, :112, :112] / 4, landmarks=np.rint(standard_face(112))))
    published = [
        *[(-0.012955, -0.429628), (0.058062, -0.362433), (0.286669, -0.321508), (0.197915, 0.01591)],
        *[(-0.017002, 0.041529), (0.007971, -0.137482), (0.243799, -0.453597), (0.015195, -0.147518)],
        *[(0.075877, -0.459079), (0.056787, -0.200088), (0.466026, -0.120391), (0.278952, -0.450592)],
    ]
    np.testing.assert_allclose(found[0], published, atol=2e-6)


def test_flow_codes_are_those_of_denseflow() -> None:
    """Of open-mmlab/denseflow@da2cc5eab55a, src/common.cpp: convertFlowToImage, with a bound of 10."""
    u = np.float32([-30, -10, -9.99, -0.04, 0, 0.039, 0.0392157, 0.04, 1, 2.5, 9.99, 10, 11])
    published = [0, 0, 0, 127, 128, 128, 128, 128, 140, 159, 255, 255, 255]
    work = work_of(flow=np.stack([u, -u], axis=-1)[None, None, None])
    found = run("flow_codes", work, bound=10, jpeg=False).flow
    assert found is not None
    np.testing.assert_allclose(found[0, 0, 0, :, 0], np.array(published) / 255 - 0.5, atol=1e-6)


def test_tim_has_the_grey_levels_of_its_public_code() -> None:
    """Of tvaranka/meb@f731b0a98168, meb/utils/traditional_methods.py: tim, rounded there."""
    t, y, x = np.mgrid[:7, :20, :22]
    clip = (127 + 60 * np.sin(0.31 * x + 0.5 * t) + 60 * np.cos(0.43 * y - 0.3 * t * t + 0.01 * x * y)).astype(np.uint8)
    work = work_of(frames=clip[None, ..., None], numbers=tuple(range(7)))
    frames = run("interpolate", work, method="tim", count=10).frames
    assert frames is not None
    for place, published in {
        (5, 4): [141, 157, 161, 198, 229, 159, 74, 96, 117, 39],
        (11, 9): [198, 168, 143, 79, 11, 40, 103, 85, 62, 120],
        (17, 20): [105, 112, 121, 114, 138, 219, 239, 145, 105, 200],
    }.items():
        np.testing.assert_allclose(frames[(0, slice(None), *place, 0)], published, atol=0.5)


def test_directional_numbers_are_those_of_the_unified_frameworks_code() -> None:
    """Of shayhan-ameen/Unified_MaE_and_ME_Recognition@593fea0c9d01, data_utilz/kirsch_mask.py: kirsch_mask_model."""
    t, y, x = np.mgrid[:4, :24, :28]
    clip = (127 + 60 * np.sin(0.31 * x + 0.2 * t) + 60 * np.cos(0.43 * y - 0.3 * t + 0.01 * x * y)).astype(np.uint8)
    work = work_of(frames=clip[None, ..., None], numbers=(1, 2, 3, 4))
    codes = [22, 22, 22, 23, 31, 31, 31, 31, 31, 31, 23, 22, 22, 21, 21, 13, 13, 13, 5, 12]
    assert tensor("ldn", work)[1, 5, 3:23].tolist() == codes
    triples = [0, 0, 0, 64, 0, 0, 0, 0, 2, 2, 1, 0, 0, 64, 0, 64, 64, 64, 32, 64]
    found = result(of("stldn_patches_as_published", work, "stldn"))
    np.testing.assert_allclose(found[1, 5, 3:23], np.array(triples) / 986, atol=1e-7)


def test_a_motion_image_has_the_pixels_of_samers_code() -> None:
    """Of Justin900429/mimicking-annotation-micro-expression-recognition@b0317b94142c: TVL1_magnitude."""
    y, x = np.mgrid[:48, :56]
    bump = 3 * np.exp(-((x - 30) ** 2 + (y - 30) ** 2) / 60)

    def face(right: np.ndarray | float, down: np.ndarray | float) -> np.ndarray:
        waves = 60 * np.sin(0.23 * (x - right) + 0.3 * np.cos(0.11 * y)) + 50 * np.cos(
            0.19 * (y - down) + 0.002 * x * y
        )
        return (127 + waves).astype(np.uint8)

    frames = np.stack([face(0, 0), face(bump, 0), face(0.5 * bump, 0.3 * bump)])[None, ..., None]
    key = (("onset", 0), ("apex", 1), ("offset", 2))
    found = result(of("motion_image_224", work_of(frames=frames, key=key, numbers=(1, 2, 3)), "flow", "motion_image"))
    published = [[0, 0, 74, 251, 253, 169, 76, 0, 0], [0, 0, 20, 127, 133, 102, 0, 0, 0]]
    assert found[1:, 30, 14:50:4].tolist() == published


@pytest.mark.parametrize("name", [name for name in STEPS.names() if CITES.search(docstring(name))])
def test_a_step_that_names_a_publication_says_what_it_was_checked_against(name: str) -> None:
    said = checked(name)
    assert re.search(r"[\w.-]+/[\w.-]+@[0-9a-f]{7,40}|OpenCV|[Nn]ot checked", said), f"{name}: {said!r}"


def test_the_page_lists_what_was_checked_as_the_steps_say_it() -> None:
    tests = " ".join(file.read_text(encoding="utf-8") for file in Path(__file__).parents[1].rglob("test_*.py"))
    assert len(ROWS) > 10
    for feature, against, _ in ROWS:
        steps = [name for name, _ in FEATURES.get(feature).steps]
        assert any(against in checked(step) for step in steps), f"{feature}: no step of it says {against}"
        repository, _, rest = against.partition(", ")
        assert repository in tests, f"{feature}: no test names {repository}"
        function = re.split(r"[/:, ]+", rest)[-1]
        assert re.search(rf"\b{re.escape(function)}\b", tests), f"{feature}: no test names {function}"


def test_the_page_lists_every_feature_as_published() -> None:
    assert {name for name in FEATURES.names() if name.endswith("as_published")} <= {feature for feature, *_ in ROWS}
