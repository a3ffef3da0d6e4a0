"""Augmentation: a mirrored feature is the feature of the mirrored face; draws come from the fold's seed."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from registered import every, passes
from small_runs import FEATURE, assert_equal_results, config, folds_of, repainted, resolved, study_data, trained
from throwaway_models import TinyNet, register_network

from bench.checks.check import Check
from bench.engine.augmentation import AUGMENTATIONS, make_augmenter, mirror
from bench.engine.train import score_again
from bench.plan.hyperparameters import resolve
from mer_models.registry import MODELS
from preprocess.base.errors import UsageError
from preprocess.faces.landmark_sets import MIRROR_68
from preprocess.labels.action_units import SHARED_UNITS, parse
from preprocess.recipes import FEATURES, FeatureRecipe
from preprocess.samples.layout import Layout
from preprocess.steps import STEPS, Work

DATA = study_data(subjects=3)
FOLD = folds_of(DATA, validate=True)[0]
NAME = (FOLD.name, "last")
SIDE = 56
NEAR = "near_onset_apex_rgb_224"
"""A feature with an axis of moments near its times, onset and apex."""


def a_face(levels: int = 1, pairs: int = 3, seed: int = 3) -> Work:
    """What steps hold of a clip: flow with a blank pair, landmarks on whole pixels."""
    rng = np.random.default_rng(seed)
    flow = rng.normal(0.3, 1, (levels, pairs, SIDE, SIDE, 2)).astype(np.float32)
    landmarks = rng.integers(10, SIDE - 10, (pairs, 68, 2)).astype(np.float32)
    frames = rng.random((levels, pairs, SIDE, SIDE, 1)).astype(np.float32) * 255
    strain = rng.random((levels, pairs, SIDE, SIDE)).astype(np.float32)
    parts: dict[str, Any] = {"flow": flow, "strain": strain, "frames": frames, "landmarks": landmarks}
    return Work(clip=None, finder=None, **parts)  # type: ignore[arg-type]


def mirrored_face(work: Work) -> Work:
    """The same clip in a mirror."""
    assert work.flow is not None
    assert work.strain is not None
    assert work.frames is not None
    assert work.landmarks is not None
    landmarks = work.landmarks[:, list(MIRROR_68)].copy()
    landmarks[..., 0] = SIDE - 1 - landmarks[..., 0]
    return dataclasses.replace(
        work,
        flow=work.flow[:, :, :, ::-1] * np.array([-1, 1], np.float32),
        strain=work.strain[:, :, :, ::-1],
        frames=work.frames[:, :, :, ::-1],
        landmarks=landmarks,
    )


def layouts(features: list[str]) -> dict[str, Layout]:
    return {name: FEATURES.get(name).layout for name in features}


def feature(step: str, axes: str = "tchw", **options: Any) -> tuple[FeatureRecipe, Any]:
    """Return a recipe that ends with a step, and what makes its tensor from a face."""

    def make(work: Work) -> np.ndarray:
        tensor = STEPS.get(step).run(work, **STEPS.get(step).options(options, "test")).tensor
        assert tensor is not None
        return tensor

    made = make(a_face(levels=options.pop("levels", 1), pairs=options.pop("pairs", 3)))
    recipe = FeatureRecipe(
        "made", 1, "", made.shape, axes, str(made.dtype), (("face", {"size": [SIDE, SIDE]}), (step, options))
    )
    return recipe, make


@pytest.mark.slow
@pytest.mark.parametrize("check", every("augmentation"))
def test_every_augmentation_passes_its_checks(check: Check) -> None:
    passes(check)


UVS = ("u", "v", "strain")


@pytest.mark.parametrize(
    ("step", "axes", "options", "levels", "pairs", "off"),
    [
        ("flow_tensor", "chw", {"channels": UVS, "normalise": "8bit"}, 1, 1, 1.0),
        ("flow_tensor", "tchw", {"channels": UVS, "normalise": "8bit", "range_of": "pair"}, 1, 3, 1.0),
        ("flow_tensor", "cthw", {"channels": ("u", "magnitude"), "normalise": "minmax", "layout": "cthw"}, 1, 3, 1e-5),
        ("flow_tensor", "ltchw", {"channels": ("v", "u"), "normalise": "raw"}, 2, 3, 1e-5),
        ("flow_tensor", "tchw", {"channels": UVS, "normalise": "clip"}, 1, 3, 1e-5),
        ("flow_tensor", "chw", {"channels": ("v", "strain"), "normalise": "8bit"}, 1, 1, 1.0),
        ("frames_tensor", "tchw", {"normalise": "8bit"}, 1, 3, 0.0),
        ("frames_tensor", "cthw", {"normalise": "unit", "layout": "cthw"}, 1, 3, 0.0),
        ("frames_tensor", "tmchw", {"normalise": "8bit", "layout": "tmchw"}, 1, 6, 0.0),
        ("frames_tensor", "ltmchw", {"normalise": "8bit", "layout": "tmchw"}, 2, 6, 0.0),
        ("patches", "ltcvhw", {"of": "flow", "points": "brows_mouth_30"}, 2, 3, 0.0),
        ("patches", "tvhw", {"of": "frames", "points": "inner_51"}, 1, 3, 0.0),
        ("landmark_points", "tvx", {"points": "all_68", "frame": "all"}, 1, 3, 1e-4),
    ],
    ids=str,
)
def test_a_mirrored_feature_is_the_feature_of_the_mirrored_face(
    step: str, axes: str, options: dict[str, Any], levels: int, pairs: int, off: float
) -> None:
    face = a_face(levels, pairs)
    recipe, make = feature(step, axes, levels=levels, pairs=pairs, **options)
    tensor, expected = make(face), make(mirrored_face(face))
    found = mirror(torch.from_numpy(tensor.astype(np.float32))[None], recipe.layout)[0].numpy()
    np.testing.assert_allclose(found, expected.astype(np.float32), atol=off)
    assert np.abs(found - tensor.astype(np.float32)).max() > off, "the mirrored face must not look like the face"


def test_flow_of_one_value_is_shown_as_nought_in_the_mirror_too() -> None:
    layout = FEATURES.get(FEATURE).layout
    assert not mirror(torch.zeros(2, 3, 28, 28), layout).any()


UNSAID = [name for name, recipe in FEATURES.items() if recipe.layout.content.unknown]


def test_descriptors_and_codes_cannot_be_augmented() -> None:
    assert {"biwoof", "hoof", "lbp_top", "mdmo", "stldn_maps", "strain_grid_5"} <= set(UNSAID)


@pytest.mark.parametrize("name", UNSAID)
def test_what_nobody_says_the_content_of_is_not_augmented(name: str) -> None:
    step = FEATURES.get(name).steps[-1][0]
    with pytest.raises(UsageError) as error:
        make_augmenter("noise", layouts([name]))
    assert str(error.value) == (
        f"Feature {name} cannot be augmented: its step {step} does not say what its tensor shows; "
        f"declare it: register_step('{step}', ..., tensor=...)."
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FEATURES.names() if name not in UNSAID])
def test_mirroring_twice_changes_nothing(name: str) -> None:
    recipe = FEATURES.get(name)
    layout = recipe.layout
    values = torch.from_numpy(np.random.default_rng(0).integers(1, 99, (2, *recipe.shape)).astype(np.float32))
    once = mirror(values, layout)
    assert not torch.equal(once, values)
    torch.testing.assert_close(mirror(once, layout), values)


def test_regions_change_sides_and_horizontal_motion_its_sign() -> None:
    vectors = torch.arange(10 * 12 * 2, dtype=torch.float32).reshape(1, 10, 12, 2)
    found = mirror(vectors, FEATURES.get("au_rois_flow").layout)
    # The first region is the outer left brow; its counterpart is the sixth, the outer right one.
    torch.testing.assert_close(found[:, :, 0], vectors[:, :, 5] * torch.tensor([-1.0, 1.0]))


def augmented(names: str, values: torch.Tensor, seed: int = 0) -> torch.Tensor:
    augmenter = make_augmenter(names, layouts([FEATURE]))
    assert augmenter
    return augmenter([values], np.random.default_rng(seed))[0]


def test_about_half_of_the_samples_are_flipped_each_as_a_whole() -> None:
    values = torch.from_numpy(DATA.features[FEATURE][:1].astype(np.float32)).repeat(200, 1, 1, 1)
    found = augmented("flip", values)
    flipped = mirror(values, FEATURES.get(FEATURE).layout)
    same = (found == values).flatten(1).all(dim=1)
    assert ((found == flipped).flatten(1).all(dim=1) != same).all()
    assert 70 < int(same.sum()) < 130


def test_all_features_of_a_sample_are_flipped_together() -> None:
    augmenter = make_augmenter("flip", layouts([FEATURE, "landmarks_28"]))
    assert augmenter
    picture, points = torch.rand(50, 3, 28, 28), torch.rand(50, 68, 2) * 27
    first, second = augmenter([picture, points], np.random.default_rng(1))
    assert torch.equal((first != picture).flatten(1).any(1), (second != points).flatten(1).any(1))


def blob(row: int, column: int) -> torch.Tensor:
    values = torch.zeros(1, 3, 28, 28)
    values[..., row - 1 : row + 2, column - 1 : column + 2] = 100
    return values


def centre(values: torch.Tensor) -> tuple[float, float]:
    weights = values[0, 0].double()
    grid = torch.arange(28, dtype=torch.float64)
    total = weights.sum()
    return float((weights.sum(1) * grid).sum() / total), float((weights.sum(0) * grid).sum() / total)


def test_a_shift_moves_a_picture_by_at_most_a_fourteenth() -> None:
    moves = [np.subtract(centre(augmented("shift", blob(14, 14), seed)), (14, 14)) for seed in range(40)]
    assert 1.2 < np.abs(moves).max() < 2.05
    assert np.abs(np.mean(moves)) < 0.6
    assert np.ptp([move[0] - move[1] for move in moves]) > 1, "rows and columns move on their own"


def test_a_turn_keeps_the_distance_from_the_middle() -> None:
    places = np.array([centre(augmented("rotate", blob(14, 23), seed)) for seed in range(40)]) - 13.5
    np.testing.assert_allclose(np.hypot(*places.T), np.hypot(0.5, 9.5), atol=0.2)
    angles = np.rad2deg(np.arctan2(places[:, 0], places[:, 1]) - np.arctan2(0.5, 9.5))
    assert 6 < np.abs(angles).max() < 10.5
    assert angles.min() < -3 < 3 < angles.max()


def test_noise_is_a_twentieth_of_a_samples_own_deviation() -> None:
    values = torch.randn(2, 3, 28, 28) * torch.tensor([1.0, 50.0]).view(2, 1, 1, 1)
    added = (augmented("noise", values) - values).flatten(1).std(dim=1)
    torch.testing.assert_close(added / values.flatten(1).std(dim=1), torch.full((2,), 0.05), rtol=0.1, atol=0)


def in_light(feature: str, values: torch.Tensor, *factors: tuple[float, float, float]) -> torch.Tensor:
    """Return photos with the factors of brightness, contrast and saturation given for each."""
    return AUGMENTATIONS.get("colour").apply(values, FEATURES.get(feature).layout, np.array(factors))


def test_colours_change_as_torchvision_changes_them() -> None:
    from torchvision.transforms import functional as changes

    photos = torch.rand(4, 3, 20, 24, generator=torch.Generator().manual_seed(0)) * 255
    factors = ((1.2, 0.8, 1.1), (0.8, 1.2, 0.9), (1.0, 1.0, 0.0), (1.2, 1.2, 1.2))
    found = in_light("apex_rgb_224", photos, *factors)
    for one, photo, (brightness, contrast, saturation) in zip(found, photos / 255, factors, strict=True):
        brighter = changes.adjust_brightness(photo, brightness)
        expected = changes.adjust_saturation(changes.adjust_contrast(brighter, contrast), saturation)
        torch.testing.assert_close(one / 255, expected, rtol=0, atol=1e-3)
    assert (found == 255).any(), "what would be brighter than white is white"


def test_all_frames_of_a_clip_are_seen_in_the_same_light() -> None:
    grey = 100 + 20 * torch.rand(2, 9, 1, 16, 16)
    factors = ((1.2, 0.8, 1.0), (0.9, 1.1, 0.0))
    found = in_light("frames_9_128", grey, *factors)
    for one, frames, (brightness, contrast, _) in zip(found, grey, factors, strict=True):
        torch.testing.assert_close(one.diff(dim=0), brightness * contrast * frames.diff(dim=0), rtol=1e-3, atol=1e-3)
    clip = 255 * torch.rand(2, 3, 16, 8, 8)
    as_frames = in_light("onset_apex_rgb_224", clip.transpose(1, 2), *factors)
    torch.testing.assert_close(in_light("frames_au_16", clip, *factors), as_frames.transpose(1, 2))
    moments = clip[:, :, :10].transpose(1, 2)
    near = in_light(NEAR, moments.unflatten(1, (2, 5)), *factors)
    torch.testing.assert_close(near.flatten(1, 2), in_light("onset_apex_rgb_224", moments, *factors))


def test_each_sample_is_seen_in_a_light_of_its_own_up_to_the_amount() -> None:
    augmenter = make_augmenter("colour:0.3", layouts(["frames_9_128"]))
    assert augmenter
    found = augmenter([torch.full((400, 9, 1, 2, 2), 100.0)], np.random.default_rng(0))[0]
    shown = found[:, 0, 0, 0, 0]
    assert torch.equal(found, shown.view(-1, 1, 1, 1, 1).expand_as(found)), "an even frame has no contrast to change"
    assert 70 <= shown.min() < 72
    assert 128 < shown.max() <= 130


@pytest.mark.parametrize("step", ["frames_tensor", "flow_tensor"])
def test_the_light_of_numbers_that_are_no_grey_levels_is_not_changed(step: str) -> None:
    for normalise in ("unit", "standard") if step == "frames_tensor" else ("8bit", "raw"):
        assert not feature(step, normalise=normalise)[0].layout.content.photo
    assert feature("frames_tensor", normalise="8bit")[0].layout.content.photo


FLOW = FEATURES.get(FEATURE).layout
OF_FLOW = [n for n, step in AUGMENTATIONS.items() if step.concerns(FLOW) and not step.refuses(FLOW, step.amount)]


@pytest.mark.slow
@pytest.mark.parametrize("names", [*OF_FLOW, "flip,rotate:4, shift:0.1,noise:0.5"])
def test_7_an_augmented_fold_depends_on_its_seed_alone(tiny: str, names: str) -> None:
    folds = folds_of(DATA)
    together = trained(tiny, DATA, folds, augment=names)
    plain = trained(tiny, DATA, folds[-1:])
    for fold in folds[::-1]:
        assert_equal_results(together[fold.name, "last"], trained(tiny, DATA, [fold], augment=names)[fold.name, "last"])
    last = folds[-1].name, "last"
    assert together[last].curves["train_loss"] != plain[last].curves["train_loss"]


def test_2_what_validation_and_test_rows_hold_does_not_reach_an_augmented_training(tiny: str) -> None:
    other = repainted(DATA, np.concatenate([FOLD.validation, FOLD.test]))
    options: dict[str, Any] = {"augment": "flip,noise", "mixup": 0.4, "balance": True}
    first, again = (trained(tiny, data, [FOLD], **options)[NAME] for data in (DATA, other))
    assert first.curves == again.curves
    assert all(first.weights[name].tobytes() == again.weights[name].tobytes() for name in first.weights)


def test_evaluation_is_not_augmented(tiny: str) -> None:
    """The scores of the trained weights are those that a recipe without augmentation gives them."""
    result = trained(tiny, DATA, [FOLD], augment="flip,shift,noise")[NAME]
    plain = score_again(MODELS.get(tiny), resolved(tiny), DATA, FOLD, result.weights)
    assert plain.tobytes() == result.scores.tobytes()


def test_an_amount_says_how_much_a_sample_is_changed() -> None:
    values = torch.randn(1, 3, 28, 28)
    noise = augmented("noise", values) - values
    torch.testing.assert_close(augmented("noise:0.2", values) - values, 4 * noise, rtol=1e-4, atol=1e-5)
    places = np.array([centre(augmented("rotate:40", blob(14, 23), seed)) for seed in range(20)]) - 13.5
    angles = np.rad2deg(np.arctan2(places[:, 0], places[:, 1]) - np.arctan2(0.5, 9.5))
    assert 25 < np.abs(angles).max() < 40.5
    moves = [np.subtract(centre(augmented("shift:0.2", blob(14, 14), seed)), (14, 14)) for seed in range(20)]
    assert 3 < np.abs(moves).max() < 5.7


def key_frames(n: int) -> torch.Tensor:
    """Return onset and apex each at five moments, which show their numbers, 0 to 4 and 5 to 9."""
    return torch.arange(10.0).view(1, 2, 5, 1, 1, 1).expand(n, 2, 5, 3, 2, 2).contiguous()


def test_a_moment_is_drawn_for_onset_and_for_apex_and_is_alone_then() -> None:
    augmenter = make_augmenter("moment", layouts([NEAR, "frames_au_16"]))
    assert augmenter
    frames = torch.rand(500, 3, 16, 2, 2)
    found, same = augmenter([key_frames(500), frames], np.random.default_rng(0))
    assert same is frames
    assert found.shape == (500, 2, 1, 3, 2, 2)
    onset, apex = found[:, :, 0, 0, 0, 0].unbind(1)
    assert torch.equal(found, torch.stack([onset, apex], 1)[:, :, None, None, None, None].expand_as(found))
    counts = torch.histogramdd(torch.stack([onset, apex - 5], 1), bins=[5, 5], range=[-0.5, 4.5, -0.5, 4.5]).hist
    assert counts.sum() == 500
    assert counts.min() >= 8, "each with each of the other's"


CLIP = "flow_clip_16_112"
"""A feature with an axis of times, which is not the first."""


def clip_of_steps(n: int) -> torch.Tensor:
    """Return clips each step of which shows its number."""
    return torch.arange(16.0).view(1, 1, 16, 1, 1).expand(n, 3, 16, 2, 2).contiguous()


def test_jitter_moves_the_ends_of_a_clip_and_keeps_the_order_of_its_steps() -> None:
    augmenter = make_augmenter("jitter", layouts([CLIP]))
    assert augmenter
    found = augmenter([clip_of_steps(300)], np.random.default_rng(0))[0]
    steps = found[:, 0, :, 0, 0]
    assert torch.equal(found, steps[:, None, :, None, None].expand_as(found)), "a step is shown as a whole"
    moved = steps.diff(dim=1)
    assert (moved >= 0).all()
    assert moved.max() <= 2
    assert set(steps[:, 0].tolist()) == {0.0, 1.0}, "a tenth of the clip is 1.5 steps"
    assert set(steps[:, -1].tolist()) == {15.0, 14.0}
    assert len({(first, last) for first, last in steps[:, [0, -1]].tolist()}) == 4, "both ends move on their own"


def test_features_of_a_sample_are_jittered_together() -> None:
    """Flow at magnification levels and the frames it was made of tell the same times."""
    augmenter = make_augmenter("jitter:0.3", layouts(["flow_patches_30", "frames_au_16"]))
    assert augmenter
    flow = (torch.arange(9.0) / 8).view(1, 1, 9, 1, 1, 1, 1).expand(60, 10, 9, 2, 3, 1, 1)
    frames = (torch.arange(16.0) / 15).view(1, 1, 16, 1, 1).expand(60, 3, 16, 2, 2)
    first, second = augmenter([flow, frames], np.random.default_rng(0))
    ends = torch.stack([first[:, 0, -1, 0, 0, 0, 0], second[:, 0, -1, 0, 0]])
    assert (ends[0] - ends[1]).abs().max() < 1 / 8
    assert torch.corrcoef(ends)[0, 1] > 0.9


def test_amplification_shows_one_drawn_level_of_each_step_in_the_place_of_all() -> None:
    augmenter = make_augmenter("amplification", layouts(["flow_patches_30", "frames_au_16"]))
    assert augmenter
    levels = torch.arange(10.0).view(1, 10, 1, 1, 1, 1, 1).expand(400, 10, 9, 2, 1, 1, 1)
    frames = torch.rand(400, 3, 16, 2, 2)
    found, same = augmenter([levels, frames], np.random.default_rng(1))
    assert same is frames
    assert found.shape == levels.shape
    assert torch.equal(found, found[:, :1].expand_as(found))
    steps = found[:, 0, :, 0, 0, 0, 0]
    shown = steps.flatten().int().bincount()
    assert len(shown) == 10
    assert shown.min() > 280
    assert steps.std(dim=1).min() > 0.5, "the steps of a sample are drawn each for itself"
    assert torch.corrcoef(steps.T).fill_diagonal_(0).abs().max() < 0.2


class SeesUnits(TinyNet):
    """A TinyNet that notes the pictures and action units that it is trained with."""

    seen: ClassVar[list[tuple[torch.Tensor, torch.Tensor]]] = []

    def loss(
        self, *features: torch.Tensor, labels: torch.Tensor, criterion: Any, action_units: torch.Tensor
    ) -> torch.Tensor:
        self.seen.append((features[0].clone(), action_units))
        return criterion(self(*features), labels)


def test_a_mirrored_sample_keeps_its_action_units(registries: None) -> None:
    """The shared units have no side: AU 12 of the left and of the right lip corner are one."""
    assert tuple(unit.number for unit in parse("+".join(f"L{unit}" for unit in SHARED_UNITS))) == SHARED_UNITS
    assert {unit.number for unit in parse("L12+R12")} == {12}
    name = register_network(SeesUnits, "sees_units", input_range="raw", epochs=2)
    units = np.random.default_rng(0).integers(0, 2, (len(DATA), len(SHARED_UNITS))).astype(np.int8)
    trained(name, dataclasses.replace(DATA, action_units=units), [FOLD], augment="flip")
    stored = torch.from_numpy(DATA.features[FEATURE].astype(np.float32))
    both = torch.stack([stored, mirror(stored, FEATURES.get(FEATURE).layout)])
    mirrored = 0
    for pictures, given in SeesUnits.seen:
        for picture, row in zip(pictures, given, strict=True):
            ((form, sample),) = (both == picture).flatten(2).all(dim=2).nonzero().tolist()
            assert row.tolist() == units[sample].tolist()
            mirrored += form
    assert 0 < mirrored < sum(len(given) for _, given in SeesUnits.seen)


@pytest.mark.parametrize(
    ("model", "names", "message"),
    [
        ("ststnet", "rotate:", "Model ststnet: Augmentation rotate:: expected an amount above 0 and up to 180"),
        ("ststnet", "shift:2", "Model ststnet: Augmentation shift:2: expected an amount above 0 and up to 1"),
        ("ststnet", "flip:0.5", "Model ststnet: Augmentation flip:0.5: flip takes no amount."),
        ("ststnet", "jitter", "Model ststnet: Augmentation jitter finds no times in flow_uvs_28."),
        ("cnn3d", "amplification", "Model cnn3d: Augmentation amplification finds no magnification levels in frames_9"),
        ("mmnet", "jitter", "Model mmnet: Augmentation jitter cannot change feature near_onset_apex_rgb_224: its 2 ti"),
        ("cnn3d", "moment", "Model cnn3d: Augmentation moment finds no moments in frames_9_128."),
        ("mmnet", "moment:2", "Model mmnet: Augmentation moment:2: moment takes no amount."),
        ("ststnet", "flop", "Model ststnet: Unknown augmentation 'flop'. Did you mean: flip?"),
        ("dual_atme", "flip", "Model dual_atme: Augmentation flip cannot change feature roi_mosaic_28: it is a mosaic"),
        ("ststnet", "colour", "Model ststnet: Augmentation colour cannot change feature flow_uvs_28: it changes the l"),
        (
            "samer",
            "colour",
            "Model samer: Augmentation colour cannot change feature motion_image_224: it changes the l",
        ),
        ("htnet", "colour:2", "Model htnet: Augmentation colour:2: expected an amount above 0 and up to 1"),
        ("au_gcn", "shift", "Model au_gcn: Augmentation shift cannot change feature au_rois_flow: it moves whole pic"),
    ],
)
def test_what_cannot_be_augmented_is_said_before_anything_runs(model: str, names: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        resolve(config(models=[model], set={f"{model}.augment": names}), [MODELS.get(model)])
    assert str(error.value).startswith(message)


def test_augmentation_can_be_set(registries: None) -> None:
    register_network(TinyNet, "plain")
    values = resolve(
        config(models=["plain"], set={"plain.augment": "flip,noise", "plain.mixup": 1}), [MODELS.get("plain")]
    )
    assert (values["plain"]["augment"], values["plain"]["mixup"]) == ("flip,noise", 1.0)
