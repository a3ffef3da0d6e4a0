"""Hyper-parameters: recipe, preset, --epochs and --set, in that order, and what is refused."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from small_runs import config, plan_of

from bench.config import PRESET_EPOCHS, RunConfig, load_config
from bench.plan import hyperparameters
from bench.plan.hyperparameters import changed
from mer_models.registry import MODELS
from preprocess.base.errors import UsageError
from preprocess.labels.tasks import TASKS, Task
from preprocess.shards.prepared import PreparedDataset


def resolve(run: RunConfig, models: list[str]) -> dict[str, dict[str, Any]]:
    return hyperparameters.resolve(run, [MODELS.get(name) for name in models])


def resolved(model: str, settings: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    run = config(epochs=None, set=settings or {}, **changes)
    return resolve(run, [model])[model]


def complaint(settings: dict[str, Any], models: list[str] | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        resolve(config(set=settings), models or ["ststnet", "flow_svm"])
    return str(caught.value)


def test_the_full_preset_is_the_papers_recipe() -> None:
    for name, info in MODELS.items():
        assert resolved(name, preset="full") == info.hyperparameters()
        assert changed(info, resolved(name, preset="full")) == {}


@pytest.mark.parametrize("preset", sorted(PRESET_EPOCHS))
@pytest.mark.parametrize("model", ["ststnet", "dual_inception"])
def test_a_preset_limits_the_epochs_only(preset: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    info = dataclasses.replace(MODELS.get(model), quick={})
    monkeypatch.setattr(MODELS, "get", lambda name: info)
    defaults = info.hyperparameters()
    assert resolved(model, preset=preset) == {
        **defaults,
        "epochs": min(defaults["epochs"], PRESET_EPOCHS[preset] or defaults["epochs"]),
    }


@pytest.mark.parametrize("preset", ["quick", "smoke"])
def test_small_presets_take_a_models_quick_values(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    info = MODELS.get("htnet")
    small = dataclasses.replace(info, quick={"epochs": 3, "batch_size": 5})
    monkeypatch.setattr(MODELS, "get", lambda name: small)
    assert resolved("htnet", preset=preset) == {
        **info.hyperparameters(),
        "batch_size": 5,
        "epochs": min(3, PRESET_EPOCHS[preset] or 3),
    }
    assert resolved("htnet", preset="full") == info.hyperparameters()
    run = config(preset=preset, epochs=9, set={"htnet.batch_size": 7})
    assert {"epochs": 9, "batch_size": 7}.items() <= resolve(run, ["htnet"])["htnet"].items()


def test_epochs_beats_the_preset_and_set_beats_epochs() -> None:
    run = config(preset="smoke", epochs=5, set={"ststnet.epochs": 7})
    values = resolve(run, ["ststnet", "off_apexnet"])
    assert (values["ststnet"]["epochs"], values["off_apexnet"]["epochs"]) == (7, 5)


TWO_FORMS = [name for name, info in MODELS.items() if "as_published" in info.params]


@pytest.mark.slow
@pytest.mark.parametrize("preset", sorted(PRESET_EPOCHS))
@pytest.mark.parametrize("model", TWO_FORMS)
def test_as_published_is_shown_what_the_public_code_shows(model: str, preset: str) -> None:
    info = MODELS.get(model)
    assert info.recipe is not None
    published, quick = info.recipe.input_range, resolved(model, preset=preset)
    values = resolved(model, {f"{model}.as_published": True}, preset=preset)
    expected = published if info.published_input else quick["input_range"]
    assert values == {**quick, "as_published": True, "input_range": expected}
    assert ("input_range" in changed(info, values)) == (expected != published)
    other = {f"{model}.input_range": "unit" if published == "raw" else "raw"}
    assert resolved(model, other, preset=preset)["input_range"] == other[f"{model}.input_range"]
    both = {**other, f"{model}.as_published": True}
    if info.published_input:
        expected = rf"--set {model}\.input_range=.*{model}\.as_published=true .* input_range {published}\. Leave one"
        with pytest.raises(UsageError, match=expected):
            resolved(model, both, preset=preset)
        same = {f"{model}.input_range": published, f"{model}.as_published": True}
        assert resolved(model, same, preset=preset) == values
    else:
        assert resolved(model, both, preset=preset)["input_range"] == other[f"{model}.input_range"]


def test_some_public_code_is_shown_other_values() -> None:
    shown = {name for name in TWO_FORMS if MODELS.get(name).published_input}
    assert {"cnn3d", "mhssa_gcn", "unified_fgs_vs"} <= shown < set(TWO_FORMS)


def in_two_classes(settings: dict[str, Any] | None = None, preset: str = "full") -> dict[str, Any]:
    info = MODELS.get("cnn2d_vote")
    run = config(epochs=None, set=settings or {}, preset=preset)
    return changed(info, hyperparameters.resolve(run, [info], n_classes=2)["cnn2d_vote"], 2)


def test_a_model_may_be_trained_otherwise_with_two_classes() -> None:
    """As its public code does: cnn2d_vote's frames stay as they are, and all classes weigh the same."""
    info = MODELS.get("cnn2d_vote")
    assert (info.hyperparameters(2)["augment"], info.hyperparameters(2)["class_weights"]) == ("", False)
    assert info.hyperparameters(3) == info.hyperparameters() == resolved("cnn2d_vote", preset="full")
    assert info.hyperparameters()["augment"].startswith("rotate")
    assert in_two_classes() == {}
    assert in_two_classes({"cnn2d_vote.augment": "flip"}) == {"augment": "flip"}
    assert "class_weights" not in in_two_classes(preset="quick")


def test_studies_of_one_run_take_the_values_of_their_task(synthetic: list[PreparedDataset], registries: None) -> None:
    words = {"negative": "calm", "positive": "wild", "surprise": "wild"}
    TASKS.add("two", Task("two", ("calm", "wild"), lambda dataset: words, "a test"), origin=__name__)
    info = dataclasses.replace(MODELS.get("ststnet"), two_classes={"lr": 0.5, "batch_size": 3})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODELS, "get", lambda name: info)
        run = {"models": ["ststnet"], "tasks": ["megc3", "two"], "set": {"ststnet.batch_size": 7}, "preset": "full"}
        cards = plan_of(synthetic[:1], **run).cards
    lr = {card.task: (card.hyperparameters["lr"], card.ingredients["hyperparameters"]["lr"]) for card in cards}
    assert lr == {"megc3": (5e-5, 5e-5), "two": (0.5, 0.5)}
    assert {card.label for card in cards} == {"ststnet[batch_size=7,epochs=2]"}


def test_an_estimator_has_no_epochs() -> None:
    assert "epochs" not in resolve(config(epochs=5), ["flow_svm"])["flow_svm"]


def test_only_what_differs_from_the_default_names_a_run() -> None:
    info = MODELS.get("ststnet")
    values = resolved("ststnet", {"ststnet.lr": 5e-5, "ststnet.batch_size": 8}, preset="full")
    assert changed(info, values) == {"batch_size": 8}


@pytest.mark.parametrize(
    ("setting", "given", "value"),
    [
        ("ststnet.lr", "5e-4", 5e-4),
        ("ststnet.lr", 1, 1.0),
        ("ststnet.dropout", 0, 0.0),
        ("ststnet.batch_size", 16.0, 16),
        ("ststnet.batch_size", "1e2", 100),
        ("ststnet.shuffle", False, False),
        ("ststnet.optimizer", "sgd", "sgd"),
        ("flow_svm.kernel", "linear", "linear"),
        ("flow_svm.gamma", "auto", "auto"),
        ("flow_svm.gamma", 0.1, "0.1"),
        ("flow_svm.C", 3, 3.0),
    ],
)
def test_a_value_takes_the_type_of_the_default(setting: str, given: Any, value: Any) -> None:
    model, key = setting.split(".")
    taken = resolved(model, {setting: given})[key]
    assert taken == value
    assert type(taken) is type(value)


@pytest.mark.parametrize("text", ["5e-4", "'5e-4'", '"5e-4"', "0.0005", "5.0e-4"])
def test_a_small_number_may_be_written_in_any_way(tmp_path: Path, text: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(f"models: [ststnet]\nset:\n  ststnet.lr: {text}\n")
    assert resolve(load_config(file, {}), ["ststnet"])["ststnet"]["lr"] == 5e-4


@pytest.mark.parametrize(
    ("setting", "given", "expected"),
    [
        ("ststnet.lr", "fast", "expected float (default 5e-05)"),
        ("ststnet.lr", True, "expected float"),
        ("ststnet.lr", [1], "expected float"),
        ("ststnet.lr", 0, "a number above 0"),
        ("ststnet.lr", -1e-3, "a number above 0"),
        ("ststnet.lr", "nan", "a finite number"),
        ("ststnet.lr", "1e999", "a finite number"),
        ("ststnet.weight_decay", "inf", "a finite number"),
        ("ststnet.weight_decay", -0.1, "0 or more"),
        ("ststnet.momentum", -0.1, "0 or more"),
        ("ststnet.lr_step", -1, "0 or more"),
        ("ststnet.lr_gamma", 0, "a number above 0"),
        ("ststnet.epochs", 0, "1 or more"),
        ("ststnet.epochs", 2.5, "expected int (default 800)"),
        ("ststnet.batch_size", -1, "1 or more"),
        ("ststnet.batch_size", True, "expected int"),
        ("ststnet.shuffle", 1, "expected bool (default True)"),
        ("ststnet.optimizer", "adma", "one of adam, adamw, sgd"),
        ("ststnet.input_range", "8bit", "one of raw, unit, standard"),
        ("flow_svm.kernel", False, "expected str (default 'rbf')"),
    ],
)
def test_a_value_of_another_type_or_range_is_refused(setting: str, given: Any, expected: str) -> None:
    message = complaint({setting: given})
    assert message.startswith(f"--set {setting}=")
    assert expected in message


def test_an_unknown_key_names_near_ones() -> None:
    assert complaint({"ststnet.learning_rate": 1}).startswith("--set ststnet.learning_rate: ststnet has no hyper-param")
    assert "Did you mean: batch_size" in complaint({"ststnet.batchsize": 1})


def test_a_network_setting_of_an_estimator_is_unknown() -> None:
    assert "flow_svm has no hyper-parameter 'epochs'" in complaint({"flow_svm.epochs": 3})


def test_a_setting_of_an_unknown_model_names_near_ones() -> None:
    assert complaint({"ststnett.lr": 1}).startswith("Unknown model 'ststnett'. Did you mean: ststnet")


def test_a_setting_of_a_model_that_is_not_run_is_refused() -> None:
    """It would silently do nothing."""
    assert "model 'htnet' is not in this run (ststnet, flow_svm)" in complaint({"htnet.dim": 24})


def test_differences_in_time_need_time() -> None:
    message = complaint({"ststnet.input_range": "difference"})
    assert message == "Model ststnet: input_range difference finds no time in flow_uvs_28."
    assert resolved("cnn3d", {"cnn3d.input_range": "difference"})["input_range"] == "difference"


def test_a_models_name_may_hold_dots_and_an_at_sign() -> None:
    info = dataclasses.replace(MODELS.get("ststnet"), name="lab/net.v2@apex_rgb_224")
    given = RunConfig(models=[info.name], set={f"{info.name}.lr": "5e-4"})
    assert hyperparameters.resolve(given, [info])[info.name]["lr"] == 5e-4


def test_a_bad_value_of_a_file_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("models: ststnet\nset:\n  ststnet:\n    lr: fast\n")
    with pytest.raises(UsageError, match=re.escape(f"{file}, line 4: ststnet.lr=fast: expected float (default ")):
        resolve(load_config(file, {}), ["ststnet"])
