"""``merbench fit``: one folder, whole or not there, with the score that the store has of the very same study."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from local_runs import LocalRuns

from results.scores.leaderboard import build_leaderboard
from results.store.model_folder import read_model
from results.store.outcome_store import OutcomeStore


@pytest.fixture
def options(tree: Path, tmp_path: Path) -> list[str]:
    return ["--data", str(tree), "--results", str(tmp_path / "runs"), "--epochs", "2"]


def told(folder: Path) -> dict[str, Any]:
    return read_model(folder).configuration


@pytest.mark.slow
def test_the_card_holds_the_score_of_the_same_study_once_it_was_measured(
    merbench: LocalRuns, options: list[str], tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "models" / "second"
    said = merbench("fit", "ststnet", *options, "--out", str(first))
    assert said.status == 0, said.err
    before = told(first)
    assert before["expected"]["missing"] == "it was not measured"
    command = before["expected"]["command"]
    assert command in said.out
    assert command in (first / "MODEL_CARD.md").read_text()
    program, *words = shlex.split(command)
    assert program == "merbench"
    assert merbench(*words, "--tracking-uri", "off").status == 0
    said = merbench("fit", "ststnet", *options, "--out", str(second))
    assert said.status == 0, said.err
    after = told(second)
    board = build_leaderboard(OutcomeStore(tmp_path / "runs"), rng=np.random.default_rng(0))
    (row,) = (row for row in board.rows if row.part == "full")
    full = after["expected"]["parts"][0]
    assert (full["uf1"], full["uf1_low"], full["uf1_high"]) == (row.uf1, row.uf1_low, row.uf1_high)
    assert full["f1_per_class"] == row.f1_per_class
    card = (second / "MODEL_CARD.md").read_text()
    assert f"| full | 30 | 5 | {row.uf1:.4f}".replace(" 0.", " .") in card
    assert "casme2/sub01, casme2/sub02, casme2/sub03, samm/006, samm/007" in card
    assert after["trained_on"]["people"] == ["casme2/sub01", "casme2/sub02", "casme2/sub03", "samm/006", "samm/007"]
    # The score is no part of the training: both hold the same weights.
    assert (first / "weights.safetensors").read_bytes() == (second / "weights.safetensors").read_bytes()
    assert str(tmp_path) not in json.dumps({name: value for name, value in after.items() if name != "expected"})


@pytest.mark.parametrize(("chosen", "protocol"), [("casme2", "loso"), ("casme2,samm", "cde")])
def test_one_dataset_is_scored_alone_and_several_merged(
    merbench: LocalRuns, options: list[str], tmp_path: Path, chosen: str, protocol: str
) -> None:
    said = merbench("fit", "majority", *options, "--datasets", chosen, "--out", str(tmp_path / "mine"))
    assert said.status == 0, said.err
    held = told(tmp_path / "mine")
    assert sorted(held["trained_on"]["datasets"]) == chosen.split(",")
    assert held["expected"]["protocol"] == protocol
    assert f"--datasets {chosen}" in held["expected"]["command"]


@pytest.mark.slow
def test_the_score_of_other_settings_or_people_is_not_borrowed(
    merbench: LocalRuns, options: list[str], tmp_path: Path
) -> None:
    run = ["run", "--models", "flow_svm", "--protocols", "loso", "--datasets", "casme2", "--tracking-uri", "off"]
    assert merbench(*run, *options).status == 0
    same, other, more = ["--datasets", "casme2"], ["--datasets", "casme2", "--set", "flow_svm.C=3"], []
    for number, (words, known) in enumerate(((same, True), (other, False), (more, False))):
        folder = tmp_path / f"model{number}"
        assert merbench("fit", "flow_svm", *options, *words, "--out", str(folder)).status == 0
        assert ("parts" in told(folder)["expected"]) == known, words


def test_an_unfinished_study_has_no_score(merbench: LocalRuns, options: list[str], tmp_path: Path) -> None:
    run = ["run", "--models", "majority", "--protocols", "cde", *options, "--tracking-uri", "off"]

    def stopped(pack: int) -> None:
        if pack == 1:
            raise KeyboardInterrupt

    merbench.before_pack = stopped
    assert merbench(*run).status == 130
    assert merbench("fit", "majority", *options, "--out", str(tmp_path / "mine")).status == 0
    held = told(tmp_path / "mine")["expected"]
    assert re.fullmatch("[12] of the 5 folds of this study are in the results", held["missing"])
    assert "parts" not in held


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["flow_svm,majority"], "trains one model, and 'flow_svm,majority' names several|Unknown model"),
        (["*svm"], r"trains one model, and '\*svm' names several"),
        (["nobody"], "Unknown model 'nobody'"),
        (["majority", "--task", "megc3,emotion5"], "Unknown task"),
        (["majority", "--task", "nothing"], "Unknown task 'nothing'"),
        (["majority", "--seeds", "0,1"], "trains with one seed, and 0, 1 were given"),
    ],
)
def test_what_cannot_be_fitted_is_told_and_nothing_is_written(
    merbench: LocalRuns, options: list[str], tmp_path: Path, words: list[str], reason: str
) -> None:
    said = merbench("fit", *words, *options, "--out", str(tmp_path / "mine"))
    assert said.status == 2
    assert re.search(reason, said.err), said.err
    assert not (tmp_path / "mine").exists()


PLUG_IN = '''
from mer_models.majority import Majority
from mer_models.registry import register_model


@register_model("forest", features=("flow_uvs_28",), paper="none")
class Forest(Majority):
    """Keeps trees, which are no arrays.

    Inputs
    ------
    flow_uvs_28 : (n, 3, 28, 28) float32.
    """

    def state(self):
        """Return the trees."""
        return {"trees": [1, 2]}


@register_model("broken", features=("flow_uvs_28",), paper="none")
class Broken(Majority):
    """Cannot be fitted.

    Inputs
    ------
    flow_uvs_28 : (n, 3, 28, 28) float32.
    """

    def fit(self, *features, y, rng):
        """Divide by nothing."""
        return 1 / 0
'''


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("forest", "its state 'trees' is a list, and safetensors holds arrays of numbers"),
        ("broken", "Training broken failed: ZeroDivisionError: division by zero. Nothing was written"),
    ],
)
def test_a_model_of_ones_own_that_cannot_be_stored_or_trained_is_told(
    merbench: LocalRuns, options: list[str], tmp_path: Path, model: str, reason: str
) -> None:
    (tmp_path / "mine.py").write_text(PLUG_IN)
    said = merbench("fit", model, *options, "--plugins", str(tmp_path / "mine.py"), "--out", str(tmp_path / "model"))
    assert (said.status, reason in said.err) == (2, True), said.err
    assert not (tmp_path / "model").exists()


def test_a_folder_that_is_taken_is_refused_before_anything_is_read(merbench: LocalRuns, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("mine")
    said = merbench("fit", "majority", "--data", str(tmp_path / "nowhere"), "--out", str(tmp_path / "mine"))
    assert said.status == 2
    assert "mine exists and holds files" in said.err
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "mine"


@pytest.mark.slow
def test_a_registered_model_has_a_signature_and_answers_as_the_folder_does(
    merbench: LocalRuns, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.plan.predicting import load_fitted

    for version in (1, 2):
        said = merbench("fit", "ststnet", *options, "--out", str(tmp_path / f"mine{version}"), "--register", "mine")
        assert said.status == 0, said.err
        assert f"MLflow: models:/mine/{version}" in said.out
    address = f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    import mlflow.pyfunc

    served = mlflow.pyfunc.load_model("models:/mine/2")
    assert [(one.name, one.shape, str(one.type)) for one in served.metadata.signature.inputs.inputs] == [
        ("flow_uvs_28", (-1, 3, 28, 28), "uint8")
    ]
    flow = np.random.default_rng(0).integers(0, 256, (4, 3, 28, 28), dtype=np.uint8)
    answer = served.predict({"flow_uvs_28": flow})
    assert list(answer.columns) == ["predicted", "negative", "positive", "surprise"]
    fitted = load_fitted(tmp_path / "mine2", "cpu")
    shares = fitted.probabilities(fitted.scores({"flow_uvs_28": flow}, list("abcd")))
    np.testing.assert_array_equal(answer[list(fitted.classes)].to_numpy(), shares)
    assert answer["predicted"].tolist() == [fitted.classes[place] for place in np.argmax(shares, axis=1)]
    assert not list(tmp_path.rglob("*.pkl")), "nothing is pickled"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["flow_svm", "--register", "a/b"], "--register a/b: expected a name without"),
        (["flow_svm", "--register", "mine", "--tracking-uri", "off"], "--register mine: there is no MLflow"),
        (["majority", "--register", "mine"], "--register mine: the model takes no features"),
    ],
)
def test_what_cannot_be_registered_is_told_before_anything_is_trained(
    merbench: LocalRuns, options: list[str], tmp_path: Path, words: list[str], reason: str
) -> None:
    said = merbench("fit", *words, *options, "--out", str(tmp_path / "mine"))
    assert (said.status, reason in said.err) == (2, True), said.err
    assert not (tmp_path / "mine").exists()
