"""Configuration: YAML and command line together, and what is said about a mistake in either."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.config import DEFAULT_MODELS, PRESET_EPOCHS, RunConfig, load_config, results_root
from preprocess.base.errors import UsageError

Writer = Callable[[str | bytes], Path]
RAY_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Return a function that writes a YAML file and gives its path."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / "run.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def complaint(file: Path | None, **options: Any) -> str:
    """Return what is said about a configuration that must be refused."""
    with pytest.raises(UsageError) as caught:
        load_config(file, options)
    return str(caught.value)


def test_without_file_and_options_everything_has_its_default() -> None:
    config = load_config(None, {"models": None, "epochs": None})
    assert config == RunConfig()
    assert config.models == DEFAULT_MODELS
    assert config.selection == ["last"]
    assert (config.results, config.overwrite, config.device) == ("runs", "missing", "auto")


def test_the_command_line_wins_key_by_key(write: Writer) -> None:
    file = write("models: [ststnet]\nepochs: 5\nseeds: [1, 2]\n")
    config = load_config(file, {"epochs": 7, "seeds": None, "models": None})
    assert (config.models, config.epochs, config.seeds) == (["ststnet"], 7, [1, 2])


def test_settings_of_both_are_merged_and_the_command_line_wins(write: Writer) -> None:
    file = write("set:\n  ststnet.lr: 0.1\n  ststnet.epochs: 3\n")
    config = load_config(file, {"set": {"ststnet.lr": 0.2, "htnet.dim": 24}})
    assert config.set == {"ststnet.lr": 0.2, "ststnet.epochs": 3, "htnet.dim": 24}


def test_keys_may_be_written_with_dashes_or_underscores(write: Writer) -> None:
    for text in ("keep-weights: true\ntracking-uri: 'off'\n", "keep_weights: true\ntracking_uri: 'off'\n"):
        config = load_config(write(text), {})
        assert (config.keep_weights, config.tracking_uri) == (True, "off")


def test_an_empty_file_changes_nothing(write: Writer) -> None:
    assert load_config(write("# nothing yet\n"), {}) == RunConfig()


def test_the_preset_follows_the_data() -> None:
    assert RunConfig().resolved_preset() == "quick"
    assert RunConfig(data=["/data"]).resolved_preset() == "full"
    assert RunConfig(data=["/data"], preset="smoke").resolved_preset() == "smoke"
    assert PRESET_EPOCHS["full"] is None, "full is what the papers did"


@pytest.mark.parametrize(
    ("text", "key", "given", "expected"),
    [
        ("models:\n", "models", "None", "list"),
        ("models: {a: 1}\n", "models", "{'a': '1'}", "list"),
        ("models: [[a]]\n", "models", "['a']", "string"),
        ("data: {a: 1}\n", "data", "{'a': '1'}", "list"),
        ("seeds: [a]\n", "seeds", "'a'", "integer"),
        ("seeds: [1.5]\n", "seeds", "'1.5'", "integer"),
        ("seeds: [true]\n", "seeds", "'true'", "integer"),
        ("epochs: many\n", "epochs", "'many'", "integer"),
        ("epochs: 2.5\n", "epochs", "'2.5'", "integer"),
        ("epochs: true\n", "epochs", "'true'", "integer"),
        ("epochs: [3]\n", "epochs", "['3']", "integer"),
        ("keep_weights: 'maybe'\n", "keep_weights", "'maybe'", "true or false"),
        ("keep_weights: 1\n", "keep_weights", "'1'", "true or false"),
        ("set: [ststnet.lr]\n", "set", "'ststnet.lr'", "MODEL.KEY=VALUE"),
        ("set: 3\n", "set", "'3'", "MODEL.KEY=VALUE"),
        ("preset: quik\n", "preset", "'quik'", "'smoke', 'quick' or 'full'"),
        ("overwrite: everything\n", "overwrite", "'everything'", "'missing', 'failed' or 'all'"),
        ("device: tpu\n", "device", "'tpu'", "'auto', 'cpu' or 'cuda'"),
        ("grow_to: many\n", "grow_to", "'many'", "64 CPU, 8 GPU"),
        ("grow_to: 64\n", "grow_to", "'64'", "64 CPU, 8 GPU"),
        ("results: [a, b]\n", "results", "['a', 'b']", "string"),
        ("results:\n", "results", "None", "string"),
    ],
)
def test_a_wrong_type_is_told_with_file_key_value_and_what_was_expected(
    write: Writer, text: str, key: str, given: str, expected: str
) -> None:
    file = write(f"# a comment\n{text}")
    message = complaint(file)
    assert message.startswith(f"{file}, line 2: {key}: given {given}, expected")
    assert expected in message


def test_all_mistakes_are_told_at_once(write: Writer) -> None:
    message = complaint(write("epochs: many\nseeds: x\n"), preset="slow")
    assert len(message.splitlines()) == 3
    assert "--preset: given 'slow'" in message


@pytest.mark.parametrize("epochs", [0, -3])
def test_no_epochs_are_refused(write: Writer, epochs: int) -> None:
    expected = f"epochs: given {epochs}, expected greater than or equal to 1."
    assert complaint(None, epochs=str(epochs)) == f"--{expected}"
    file = write(f"epochs: {epochs}\n")
    assert complaint(file) == f"{file}, line 1: {expected}"


def test_what_a_cluster_may_grow_to_is_said_as_the_run_says_it(write: Writer) -> None:
    expected = {"CPU": 64.0, "GPU": 8.0}
    for said in ("64 CPUs, 8 GPUs", "64 CPU,8 gpu", ["64 CPU", "8 GPU"]):
        assert load_config(None, {"grow_to": said}).grow_to == expected
    assert load_config(write("grow_to: {CPU: 64, GPU: 8}\n"), {}).grow_to == expected
    assert "--grow-to: given '8 TPU', expected" in complaint(None, grow_to="8 TPU")


def test_no_workers_are_refused() -> None:
    assert "--workers: given 0" in complaint(None, workers="0")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("seeds", [], "needs at least one seed"),
        ("seeds", [0, -1], "seeds must be 0 or more"),
        ("models", [], "needs at least one name"),
        ("protocols", [], "needs at least one name"),
    ],
)
def test_empty_lists_and_negative_seeds_are_refused(key: str, value: list[Any], expected: str) -> None:
    assert complaint(None, **{key: value}) == f"--{key}: given {value!r}, {expected}."


def test_a_seed_given_twice_counts_once() -> None:
    assert RunConfig(seeds=[2, 0, 2]).seeds == [2, 0]


def test_an_unknown_key_names_its_file_and_near_ones(write: Writer) -> None:
    file = write("modles: [ststnet]\n")
    assert complaint(file) == f"{file}, line 1: unknown key 'modles'. Did you mean: models?"


@pytest.mark.parametrize("text", ["- models\n", "just words\n", "3\n"])
def test_a_file_that_holds_no_keys(write: Writer, text: str) -> None:
    assert "expected keys and values at the top level, such as `models: [ststnet]`; found a " in complaint(write(text))


@pytest.mark.parametrize(
    "text", ["models: [ststnet\n", "a: b: c\n", b"models: \xff\xfe\n", "x: !!python/name:os.system\n"]
)
def test_a_file_that_is_no_plain_yaml(write: Writer, text: str | bytes) -> None:
    file = write(text)
    message = complaint(file)
    assert message.startswith(f"--config {file}: is not valid YAML")
    assert "\n" not in message


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert (
        complaint(tmp_path / "none.yaml")
        == f"--config {tmp_path}/none.yaml: cannot be read (No such file or directory)."
    )
    assert "cannot be read (Is a directory)" in complaint(tmp_path)


def test_settings_are_read_as_yaml() -> None:
    items = ["ststnet.lr=1e-4", "a.b=true", "a.c=3", "a.d=adam", "a.e = 0.5", "a.f=", "a.g=x=y", "a.h={"]
    assert load_config(None, {"set": items}).set == {
        "ststnet.lr": "1e-4",  # YAML 1.1; bench.plan.hyperparameters makes it a number where one is wanted
        "a.b": True,
        "a.c": 3,
        "a.d": "adam",
        "a.e": 0.5,
        "a.f": "",
        "a.g": "x=y",
        "a.h": "{",
    }


# The YAML takes what the command line takes.


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("tracking_uri: off\n", {"tracking_uri": "off"}),
        ("tracking-uri: 'off'\n", {"tracking_uri": "off"}),
        ("results: 2024\n", {"results": "2024"}),
        ("results: 2024-01-02\n", {"results": "2024-01-02"}),
        ("results: 1_000.50\n", {"results": "1_000.50"}),
        ("models: ststnet\n", {"models": ["ststnet"]}),
        ("models: ststnet, htnet\n", {"models": ["ststnet,htnet"]}),
        ("models: [ststnet, htnet]\n", {"models": ["ststnet", "htnet"]}),
        ("models:\n- a,b\n- rcn_*\n", {"models": ["a,b", "rcn_*"]}),
        ("models: [on]\n", {"models": ["on"]}),
        ("data: /data/a,b\n", {"data": ["/data/a,b"]}),
        ("data: [smic:cropped=/data]\n", {"data": ["smic:cropped=/data"]}),
        ("seeds: 0,1,2\n", {"seeds": ["0,1,2"]}),
        ("seeds: 3\n", {"seeds": ["3"]}),
        ("seeds: [0, 1]\n", {"seeds": ["0", "1"]}),
        ("seeds: [0, '1,2']\n", {"seeds": ["0", "1,2"]}),
        ("epochs: 30\n", {"epochs": "30"}),
        ("epochs: '30'\n", {"epochs": "30"}),
        ("epochs: 1e2\n", {"epochs": "1e2"}),
        ("keep_weights: yes\n", {"keep_weights": True}),
        ("keep_weights: 'true'\n", {"keep_weights": True}),
        ("keep_weights: Off\n", {"keep_weights": False}),
        ("set: ststnet.lr=1e-4\n", {"set": ["ststnet.lr=1e-4"]}),
        ("set: [ststnet.lr=1e-4, a.b=true]\n", {"set": ["ststnet.lr=1e-4", "a.b=true"]}),
        ("set: {ststnet.lr: 1e-4, a.b: true}\n", {"set": ["ststnet.lr=1e-4", "a.b=true"]}),
        ("set: {ststnet: {lr: 1e-4}, a: {b: true, c: x}}\n", {"set": ["ststnet.lr=1e-4", "a.b=true", "a.c=x"]}),
        ("set: {a.b: 'true', a.c: 2024-99-99}\n", {"set": ["a.b='true'", "a.c=2024-99-99"]}),
        (
            "set: {timm/resnet50.a1_in1k: {lr: 1}, timm/vit@apex_rgb_224: {lr: 2}}\n",
            {"set": ["timm/resnet50.a1_in1k.lr=1", "timm/vit@apex_rgb_224.lr=2"]},
        ),
        ("address: null\nepochs: ~\npreset:\n", {}),
    ],
)
def test_the_yaml_takes_what_the_command_line_takes(write: Writer, text: str, options: dict[str, Any]) -> None:
    assert load_config(write(text), {}).model_dump() == load_config(None, options).model_dump()


@pytest.mark.parametrize(
    ("text", "key", "where"),
    [
        ("models: [a]\nepochs: 3\nmodels: [b]\n", "models", "in line 1 and in line 3"),
        ("keep-weights: true\nkeep_weights: false\n", "keep_weights", "in line 1 and in line 2"),
        ("set:\n  ststnet.lr: 1\n  ststnet.lr: 2\n", "set.ststnet.lr", "in line 2 and in line 3"),
        ("set:\n  ststnet:\n    lr: 1\n  ststnet.lr: 2\n", "set.ststnet.lr", "in line 3 and in line 4"),
        ("set: {a.b: 1, a: {b: 2}}\n", "set.a.b", "in line 1"),
    ],
)
def test_a_key_given_twice_is_refused_with_both_lines(write: Writer, text: str, key: str, where: str) -> None:
    file = write(text)
    assert complaint(file) == f"{file}: {key} is given twice, {where}. Leave one of them out."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024: x\n", "line 1: unknown key '2024'. Known: address, "),
        ("true: x\n", "line 1: unknown key 'true'. "),
        ("<<: {epochs: 3}\n", "line 1: unknown key '<<'. "),
        ("epochs: 3\nmodles: x\nsedes: 1\n", "line 2: unknown key 'modles'. Did you mean: models?\n"),
        ("epochs: 3\nmodles: x\nsedes: 1\n", "line 3: unknown key 'sedes'. Did you mean: seeds"),
        ("? [a, b]\n: x\n", "is not valid YAML: line 1: a key is a name, and this one is a list or a mapping"),
        ("models:\n\t- a\n", "is not valid YAML: line 2: found character '\\t'"),
        ("models:\n\t- a\n", "(indent with spaces)"),
        ("models: &x [*x]\n", "is not valid YAML: a value holds itself"),
        ("epochs: 3\n---\nepochs: 4\n", "is not valid YAML: line 2: but found another document"),
        ("models: !!python/name:os.system\n", "is not valid YAML: line 1: "),
        ("set: {a.b: !!python/name:os.system }\n", "is not valid YAML: line 1: "),
        ("set: {lr: 3}\n", "line 1: set: given 'lr', expected MODEL.KEY, for example ststnet.lr."),
        ("set: {ststnet: {}}\n", "line 1: set: given 'ststnet', expected MODEL.KEY"),
        ("set:\n", "line 1: set: given None, expected a valid dictionary"),
    ],
)
def test_what_a_file_must_not_hold_is_told_with_its_line(write: Writer, text: str, expected: str) -> None:
    assert expected in complaint(write(text))


def test_a_setting_tells_where_it_was_made(write: Writer) -> None:
    file = write("set:\n  ststnet: {lr: 1}\n  htnet.dim: 24\n")
    config = load_config(file, {"set": ["htnet.dim=12"]})
    assert config.where_set("ststnet.lr") == f"{file}, line 2: ststnet.lr"
    assert config.where_set("htnet.dim") == "--set htnet.dim"
    assert RunConfig(set={"a.b": 1}).where_set("a.b") == "--set a.b"


@pytest.mark.parametrize("item", ["ststnet.lr", "lr=3", "=3", ""])
def test_a_setting_without_model_key_or_value(item: str) -> None:
    with pytest.raises(UsageError, match=r"expected MODEL.KEY=VALUE, for example ststnet.lr=1e-4"):
        load_config(None, {"set": [item]})


def test_a_relative_results_folder_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RAY_JOB, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    assert results_root("runs") == str(tmp_path / "runs")
    assert results_root("~/runs") == "/home/someone/runs"
    assert results_root("s3://bucket/runs") == "s3://bucket/runs"


def test_a_relative_results_folder_in_a_ray_job_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RAY_JOB, "{}")
    with pytest.raises(
        UsageError, match=r"--results 'runs' is relative, and this is a Ray job.*vanish.*absolute folder"
    ):
        results_root("runs")
    for lasting in ("/shared/runs", "~/runs", "s3://bucket/runs"):
        assert results_root(lasting)
