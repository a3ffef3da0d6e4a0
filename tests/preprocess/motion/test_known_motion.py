"""Flow and apex spotting against the motion that is known: loose bounds of what the benchmarks measure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from known_motion import (
    flow_work,
    in_the_crop,
    measured_and_true_flow,
    rendered_clips,
    true_flow_of,
    without_apex,
)

from preprocess.faces.finder import DlibFaceFinder
from preprocess.steps import STEPS, Work
from preprocess.steps._apex_spotting import SPOTTERS
from preprocess.steps.flow import METHODS
from preprocess.synth.databases import Options

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finder() -> DlibFaceFinder:
    return DlibFaceFinder()


@pytest.fixture(scope="module")
def like_casme2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where whole frames and crops of the same two people are rendered, by the first test that needs them."""
    return tmp_path_factory.mktemp("like_casme2")


@pytest.mark.parametrize("strength", ["micro", "macro"])
def test_flow_finds_most_of_the_motion(strength: str, finder: DlibFaceFinder, tmp_path: Path) -> None:
    errors: dict[str, list[float]] = {method: [] for method in [*METHODS, "no flow"]}
    options = Options("smic", subjects=1, clips=3.0, seed=2, strength=strength)
    for clip, film, truth in rendered_clips(options, tmp_path / "tree"):
        for method in METHODS:
            measured, true = measured_and_true_flow(clip, film, finder, method, truth.apex)
            errors[method].append(float(np.linalg.norm(measured - true, axis=2).mean()))
        errors["no flow"].append(float(np.linalg.norm(true, axis=2).mean()))
    for method in METHODS:
        assert np.mean(errors[method]) < 0.5 * np.mean(errors["no flow"]), method
        assert np.mean(errors[method]) < {"micro": 0.25, "macro": 0.5}[strength], method


def test_a_tight_crop_shows_the_motion_as_well_as_the_whole_frame(finder: DlibFaceFinder, like_casme2: Path) -> None:
    """Half of the aligned square lies outside of the crop; over what it shows, errors grow by a tenth at most."""
    errors: dict[str, list[float]] = {"raw": [], "cropped": []}
    for variant, measured in errors.items():
        options = Options("casme2", subjects=2, clips=3.0, variant=variant)
        for clip, film, truth in rendered_clips(options, like_casme2 / variant):
            work = flow_work(clip, finder, "tvl1", truth.apex)
            assert work.flow is not None
            error = np.linalg.norm(work.flow[0, 0] - true_flow_of(work, film, truth.apex, variant == "cropped"), axis=2)
            inside = in_the_crop(work, film) if variant == "raw" else work.valid
            assert inside is not None
            measured.append(float(error[inside].mean()))
    assert len(errors["raw"]) == len(errors["cropped"]) >= 5
    assert np.mean(errors["cropped"]) < 1.1 * np.mean(errors["raw"]), errors


def test_a_registered_crop_taken_as_the_face_shows_the_motion_as_well_as_the_whole_frame(
    finder: DlibFaceFinder, like_casme2: Path
) -> None:
    """With every method: errors as a share of the true motion, for the crop is stretched to the face's size."""
    shares: dict[str, dict[str, float]] = {}
    for variant, crops in (("raw", "align"), ("cropped", "as_face")):
        errors: dict[str, list[float]] = {method: [] for method in METHODS}
        motions: list[float] = []
        for clip, film, truth in rendered_clips(Options("casme2", 2, 3.0, variant=variant), like_casme2 / variant):
            for method, measured in errors.items():
                work = flow_work(clip, finder, method, truth.apex, crops)
                true = true_flow_of(work, film, truth.apex, variant == "cropped")
                assert work.flow is not None
                assert variant == "raw" or work.valid is None
                inside = in_the_crop(work, film) if variant == "raw" else np.ones((128, 128), bool)
                measured.append(float(np.linalg.norm(work.flow[0, 0] - true, axis=2)[inside].mean()))
            motions.append(float(np.linalg.norm(true, axis=2)[inside].mean()))
        shares[variant] = {method: float(np.sum(measured) / np.sum(motions)) for method, measured in errors.items()}
    for method in METHODS:
        assert shares["cropped"][method] < 1.1 * shares["raw"][method], (method, shares)


def test_spotting_comes_nearer_to_the_apex_than_the_middle(finder: DlibFaceFinder, tmp_path: Path) -> None:
    errors: dict[str, list[int]] = {spot: [] for spot in SPOTTERS}
    for clip, _, truth in rendered_clips(Options("smic", subjects=2, clips=5.0), tmp_path / "tree"):
        for spot in SPOTTERS:
            work = STEPS.get("face").run(Work(clip=without_apex(clip), finder=finder))
            work = STEPS.get("select").run(work, frames="onset_apex", spot=spot)
            errors[spot].append(abs(work.numbers[dict(work.key)["apex"]] - truth.apex))
    for spot in SPOTTERS:
        if spot != "midpoint":
            assert np.mean(errors[spot]) < 0.75 * np.mean(errors["midpoint"]), spot
            assert np.median(errors[spot]) <= 3, spot
