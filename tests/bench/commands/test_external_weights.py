"""``merbench test MODEL PROTOCOL --weights``: given weights are scored as their network would, and never ranked."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from local_runs import LocalRuns
from safetensors.torch import save_file
from small_runs import study_data, with_features_of
from torch import Tensor

from bench.commands.external import in_order
from mer_models.registry import MODELS
from preprocess.base.errors import UsageError
from preprocess.datasets import read_source
from results.scores.leaderboard import build_leaderboard
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard
from results.store.watched import EXTERNAL, EXTERNAL_STAMP, TEST

PEOPLE = ("sub01", "sub02", "sub03", "006", "007")
PARTS = ((1, slice(0, 3)), (2, slice(3, 8)), (3, slice(8, 16)))


def network_of(person: str) -> torch.nn.Module:
    """Return an STSTNet with weights and statistics of its own."""
    with torch.random.fork_rng():
        torch.manual_seed(sum(person.encode()))
        network: Any = MODELS.get("ststnet").build(n_classes=3)
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                value.uniform_(0.5, 1.5) if "running" in name else value.normal_(0, 0.1)
    return network.eval()


def as_published(network: torch.nn.Module) -> dict[str, Tensor]:
    """Return the weights under the names of the public files: three convolutions and normalisations for one."""
    own = network.state_dict()
    held = {f"fc.{name}": own[f"classifier.{name}"] for name in ("weight", "bias")}
    for place, rows in PARTS:
        held |= {f"conv{place}.{name}": own[f"streams.0.{name}"][rows] for name in ("weight", "bias")}
        for name in ("weight", "bias", "running_mean", "running_var"):
            held[f"bn{place}.{name}"] = own[f"streams.2.{name}"][rows]
        held[f"bn{place}.num_batches_tracked"] = torch.tensor(800)
    return held


def write(folder: Path, people: Iterable[str], form: Callable[[torch.nn.Module], Any] = as_published) -> Path:
    folder.mkdir(exist_ok=True)
    for person in people:
        torch.save(form(network_of(person)), folder / f"{person}.pth")
    return folder


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Return a folder of published weights, a file for each of the people of the tree."""
    return write(tmp_path / "their_weights", PEOPLE)


@pytest.fixture
def options(tree: Path, tmp_path: Path) -> list[str]:
    return ["--data", str(tree), "--results", str(tmp_path / "runs"), "--tracking-uri", "off"]


def stored(tmp_path: Path) -> tuple[OutcomeStore, StudyCard]:
    store = OutcomeStore(tmp_path / "runs")
    (card,) = store.cards()
    return store, card


def computed(tree: Path, person: str, bgr: bool) -> dict[str, np.ndarray]:
    """Return sample id -> what the person's network says of the picture as OpenCV reads it (bgr), or reversed."""
    found = {}
    for dataset in read_source(tree):
        for sample_id, clip in zip(dataset.samples["sample_id"], dataset.samples["clip"], strict=True):
            if sample_id.split("/")[1] == person:
                (file,) = (tree / person).rglob(f"{person}_{clip}*.png")
                picture = cv2.imread(str(file))
                picture = picture if bgr else picture[..., ::-1]
                batch = torch.from_numpy(picture.transpose(2, 0, 1)[None].astype(np.float32))
                found[sample_id] = network_of(person)(batch).detach().numpy()[0]
    return found


def assert_scored(tmp_path: Path, tree: Path, bgr: bool, people: Iterable[str] = PEOPLE) -> None:
    store, card = stored(tmp_path)
    outcomes, _ = store.read_outcomes(card)
    expected = {name: row for person in people for name, row in computed(tree, person, bgr).items()}
    found = {name: row for one in outcomes for name, row in zip(one.sample_ids, one.scores, strict=True)}
    assert found.keys() == expected.keys()
    assert all(np.allclose(found[name], row, rtol=1e-4, atol=1e-3) for name, row in expected.items())


@pytest.mark.slow
def test_published_files_are_scored_by_subject_in_their_own_channel_order(
    merbench: LocalRuns, options: list[str], files: Path, tree: Path, tmp_path: Path
) -> None:
    said = merbench("test", "ststnet", "cde", *options, "--weights", str(files))
    assert said.status == 0, said.err
    assert_scored(tmp_path, tree, bgr=True)
    store, card = stored(tmp_path)
    assert card.label == "ststnet[channels=bgr,weights=their_weights]"
    assert (card.weights, card.watches, card.notes) == (EXTERNAL, TEST, [])
    assert "lr" not in card.hyperparameters
    for outcome in store.read_outcomes(card)[0]:
        person = outcome.fold.split("/")[1]
        assert outcome.provenance["weights"] == "external"
        assert outcome.provenance["weights_file"] == f"{person}.pth"
    assert f"* external = {EXTERNAL_STAMP}" in said.out
    assert len(store.state(card).done) == len(card.folds) == 5


def as_ours(network: torch.nn.Module) -> dict[str, Tensor]:
    return network.state_dict()


def as_checkpoint(network: torch.nn.Module) -> dict[str, Any]:
    return {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in as_published(network).items()}}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "channels", "bgr"),
    [(as_published, "rgb", False), (as_ours, None, False), (as_ours, "bgr", True), (as_checkpoint, None, True)],
)
def test_names_wrappers_and_channels(
    merbench: LocalRuns, options: list[str], tree: Path, tmp_path: Path, form: Any, channels: str | None, bgr: bool
) -> None:
    folder = write(tmp_path / "w", PEOPLE[:3], form)
    order = ["--channels", channels] if channels else []
    said = merbench("test", "ststnet", "loso", *options, *order, "--datasets", "casme2", "--weights", str(folder))
    assert said.status == 0, said.err
    assert_scored(tmp_path, tree, bgr, PEOPLE[:3])


@pytest.mark.slow
def test_stored_weights_of_a_run_give_its_predictions_in_the_range_of_its_recipe(
    merbench: LocalRuns, options: list[str], tmp_path: Path
) -> None:
    """What ``--keep-weights`` wrote is scored like anybody's file; means and deviations are those of each fold."""
    setting = ["--datasets", "casme2", "--set", "ststnet.input_range=standard"]
    run = ["--models", "ststnet", "--protocols", "loso", "--epochs", "2", "--keep-weights"]
    assert merbench("run", *options, *setting, *run).status == 0
    store, card = stored(tmp_path)
    folder = tmp_path / "kept"
    folder.mkdir()
    for fold in card.folds:
        weights = {name: torch.from_numpy(value) for name, value in store.read_weights(card, fold.key).items()}
        save_file(weights, folder / f"{fold.name.replace('/', '_')}.safetensors")
    said = merbench("test", "ststnet", "loso", *options, *setting, "--weights", str(folder))
    assert said.status == 0, said.err
    own, given = sorted(store.cards(), key=lambda card: card.weights)
    assert given.hyperparameters["input_range"] == "standard"
    for first, second in zip(store.read_outcomes(own)[0], store.read_outcomes(given)[0], strict=True):
        assert first.scores.tobytes() == second.scores.tobytes()


@pytest.mark.slow
def test_they_stand_apart_on_the_leaderboard_and_are_not_ranked(
    merbench: LocalRuns, options: list[str], files: Path, tmp_path: Path
) -> None:
    run = ["--models", "ststnet,majority", "--protocols", "cde", "--epochs", "1", "--selection", "last,oracle"]
    assert merbench("run", *options, *run).status == 0
    assert merbench("test", "ststnet", "cde", *options, "--weights", str(files)).status == 0
    board = build_leaderboard(OutcomeStore(tmp_path / "runs"), rng=np.random.default_rng(0), resamples=10)
    full = [row for row in board.rows if row.part == "full"]
    ranked = [(row.weights, row.rank is not None) for row in full]
    assert ranked == [("", True), ("", True), ("", False), ("", False), (EXTERNAL, False)]
    assert {gap.oracle for gap in board.gaps} == {"oracle"}
    results = ["--results", str(tmp_path / "runs")]
    lines = merbench("leaderboard", *results, "--shape", "long").out.splitlines()
    stamp = lines.index(f"* external = {EXTERNAL_STAMP}")
    assert "their_weights" in lines[stamp + 3]
    assert "oracle*" in lines[stamp - 1]
    rows = json.loads(merbench("leaderboard", *results, "--format", "json").out)["rows"]
    external = [(row["rank"], row["stamp"]) for row in rows if row["weights"] == "external"]
    assert external == [(None, EXTERNAL_STAMP)] * 3
    assert "their_weights" in merbench("status", *results).out
    report = merbench("report", *results, "ststnet", "external").out
    assert f"external = {EXTERNAL_STAMP}" in report
    said = merbench("test", *options[:4])
    assert said.status == 2
    assert "has stored weights" in said.err


@pytest.mark.slow
def test_the_same_again_scores_nothing_and_other_weights_are_another_study(
    merbench: LocalRuns, options: list[str], files: Path, tmp_path: Path
) -> None:
    command = ["test", "ststnet", "cde", *options, "--weights"]
    assert "0 of 5 folds are done, 5 to score" in merbench(*command, str(files)).out
    moved = files.rename(tmp_path / "elsewhere")
    assert "5 of 5 folds are done, 0 to score" in merbench(*command, str(moved)).out
    assert "0 of 5 folds are done" in merbench(*command, str(moved), "--channels", "rgb").out
    torch.save(as_published(network_of("another")), moved / "006.pth")
    assert "0 of 5 folds are done" in merbench(*command, str(moved)).out
    assert len(OutcomeStore(tmp_path / "runs").cards()) == 3


def test_one_file_for_all_says_that_it_may_have_seen_them(
    merbench: LocalRuns, options: list[str], files: Path, tmp_path: Path
) -> None:
    said = merbench("test", "ststnet", "cde", *options, "--weights", str(files / "sub01.pth"))
    assert said.status == 0, said.err
    assert "one file of weights for all folds: it may have seen the very people it is tested on" in said.out
    store, card = stored(tmp_path)
    assert len(store.read_outcomes(card)[0]) == 5


class Runs:
    """Runs a command where it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch it_ran",)


BAD_FILES: dict[str, tuple[Any, str]] = {
    "shape": (
        lambda held: held | {"fc.weight": torch.zeros(5, 400), "fc.bias": torch.zeros(5)},
        "not those of ststnet with 3 classes (task megc3): classifier.weight (in the file fc.weight) is (5, 400) in "
        "the file, expected (3, 400)",
    ),
    "missing": (
        lambda held: {k: v for k, v in held.items() if k != "bn2.bias"},
        "is (11,) in the file, expected (16,)",
    ),
    "extra": (lambda held: held | {"aux": torch.zeros(2)}, "aux, (2,), is in the file and not in the network"),
    "code": (lambda held: {"state_dict": held, "evil": Runs()}, "system, which is no tensor but code"),
    "nothing": (lambda held: {"epoch": 3}, "holds no weights: expected tensors by name, and found epoch (int)"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", BAD_FILES)
@pytest.mark.parametrize("person", ["006", "sub03"])
def test_a_file_that_does_not_fit_is_named_before_anything_is_written(
    merbench: LocalRuns, options: list[str], files: Path, tmp_path: Path, case: str, person: str
) -> None:
    change, told = BAD_FILES[case]
    torch.save(change(as_published(network_of(person))), files / f"{person}.pth")
    said = merbench("test", "ststnet", "cde", *options, "--weights", str(files))
    assert said.status == 2
    assert said.err.startswith(f"error: {files / person}.pth")
    assert told in said.err
    assert not (tmp_path / "runs" / "outcomes").exists()
    assert not Path("it_ran").exists()


def test_files_must_fit_the_people(merbench: LocalRuns, options: list[str], files: Path) -> None:
    command = ["test", "ststnet", "cde", *options, "--weights", str(files)]
    (files / "sub02.pth").rename(files / "sub04.pth")
    assert "sub04.pth is named for nobody who is held out" in merbench(*command).err
    (files / "sub04.pth").unlink()
    assert "no file for casme2/sub02; it has 4 of the 5 that are held out" in merbench(*command).err


@pytest.mark.parametrize(
    ("first", "others", "told"),
    [
        (as_published, as_ours, "its names are the network's own, where the first file has those of ststnet's public"),
        (as_ours, as_published, "its names are those of ststnet's public files, where the first file has the network"),
    ],
)
def test_files_of_two_forms_are_not_mixed(
    merbench: LocalRuns, options: list[str], tmp_path: Path, first: Any, others: Any, told: str
) -> None:
    write(tmp_path / "w", PEOPLE, others)
    folder = write(tmp_path / "w", ["006"], first)
    said = merbench("test", "ststnet", "cde", *options, "--weights", str(folder))
    assert said.status == 2
    assert told in said.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "more", "told"),
    [
        (["ststnet"], [], "--weights takes a model and a protocol, as in `merbench test ststnet cde`; given: ststnet."),
        (["ststnet", "cde", "last"], [], "given: ststnet cde last."),
        (["stsnet", "cde"], [], "Did you mean: ststnet"),
        (["ststnet", "cdee"], [], "Did you mean: cde"),
        (["rcn_*", "cde"], [], "--weights are one model's, and 'rcn_*' names several"),
        (["flow_svm", "cde"], [], "--weights are those of networks, and flow_svm is an estimator"),
        (["ststnet", "cde"], ["--channels", "gbr"], "--channels gbr: expected rgb or bgr."),
        (["ststnet", "cde"], ["--set", "ststnet.lr=1"], "--set ststnet.lr: given weights are not trained, so that lr"),
        (["ststnet", "cde"], ["--set", "ststnet.depth=1"], "ststnet has no hyper-parameter 'depth'"),
        (["ststnet", "cde"], ["--tasks", "megc3,emotion5"], "under one task at a time, and megc3, emotion5 were given"),
    ],
)
def test_what_cannot_be_asked_is_told(
    merbench: LocalRuns, options: list[str], files: Path, words: list[str], more: list[str], told: str
) -> None:
    said = merbench("test", *words, *options, *more, "--weights", str(files))
    assert said.status == 2
    assert told in said.err


def test_options_of_given_weights_are_refused_without_them(merbench: LocalRuns, tmp_path: Path) -> None:
    said = merbench("test", "--channels", "bgr", "--tasks", "megc3", "--results", str(tmp_path))
    assert said.status == 2
    assert "--tasks, --channels: only `merbench test --weights DIR|FILE` takes this" in said.err


def test_only_pictures_of_three_channels_can_be_reversed() -> None:
    data = with_features_of("cnn_lstm", study_data(subjects=2, clips=2))
    with pytest.raises(UsageError, match="cnn_lstm reads no pictures of three channels"):
        in_order(MODELS.get("cnn_lstm"), data, "bgr")


@pytest.mark.slow
def test_real_flow_images(merbench: LocalRuns, megc2019_flow: Path, tmp_path: Path) -> None:
    """Weights for the 68 people of the composite, made here: each person's own file scores that person."""
    tree = megc2019_flow / "three_norm_u_v_os"
    people = sorted(folder.name for folder in tree.iterdir() if folder.is_dir())
    folder = write(tmp_path / "w", people)
    where = ["--data", str(tree), "--results", str(tmp_path / "runs"), "--tracking-uri", "off"]
    said = merbench("test", "ststnet", "cde", *where, "--weights", str(folder))
    assert said.status == 0, said.err
    assert "442 samples, 68 subjects" in said.out
    store, card = stored(tmp_path)
    assert len(store.state(card).done) == len(card.folds) == 68
    outcomes, _ = store.read_outcomes(card)
    scores = {name: row for one in outcomes for name, row in zip(one.sample_ids, one.scores, strict=True)}
    for person in ("sub01", "006", "s01"):
        for name, row in computed(tree, person, bgr=True).items():
            assert np.allclose(scores[name], row, rtol=1e-4, atol=1e-3)
