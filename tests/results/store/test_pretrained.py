"""Pretrained networks in the results: whole, sealed, found by the first digits of their key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from preprocess.base.errors import StoreError, UsageError
from results.store.model_folder import write_model
from results.store.outcome_store import OutcomeStore
from results.store.pretrained import PretrainedStore

KEY, OTHER = "ab" * 32, "abab" + "cd" * 30
WEIGHTS = {"layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
TOLD: dict[str, Any] = {
    "model": "tiny",
    "task": {"name": "emotion3"},
    "trained_on": {
        "datasets": {"ckplus": {}, "afew": {}},
        "people": ["afew/train", "ckplus/S005"],
        "samples": 9,
        "synthetic": False,
    },
    "curves": {"train_loss": [1.5, 0.25]},
}


@pytest.fixture
def networks(tmp_path: Path) -> PretrainedStore:
    networks = PretrainedStore(str(tmp_path / "runs"))
    networks.write(KEY, TOLD, WEIGHTS, "# card\n")
    return networks


def folder(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "pretrained" / KEY


def test_what_was_written_is_read_again(networks: PretrainedStore, tmp_path: Path) -> None:
    stored, facts = networks.read(KEY), networks.facts(KEY)
    assert {name: value for name, value in stored.configuration.items() if name != "format"} == TOLD
    np.testing.assert_array_equal(stored.weights["layer.weight"], WEIGHTS["layer.weight"])
    assert facts is not None
    assert (facts.key, facts.model, facts.task, facts.datasets) == (KEY, "tiny", "emotion3", ("afew", "ckplus"))
    assert (facts.people, facts.loss, facts.sha256) == (("afew/train", "ckplus/S005"), (1.5, 0.25), stored.sha256)
    assert facts.described == "9 clips of 2 people of afew+ckplus, task emotion3"
    assert networks.stored_keys() == [KEY]
    assert networks.facts(OTHER) is None
    # A results folder that begins with a pretraining becomes a store of outcomes, too.
    OutcomeStore(tmp_path / "runs", create=True)


@pytest.mark.parametrize("name", ["weights.safetensors", "MODEL_CARD.md", "model.json"])
def test_an_edited_file_is_named(networks: PretrainedStore, tmp_path: Path, name: str) -> None:
    file = folder(tmp_path) / name
    content = file.read_bytes()
    file.write_bytes(content.replace(b"afew/train", b"afew/other") if name == "model.json" else content[:-1] + b"?")
    with pytest.raises(StoreError, match=rf"{KEY}/{name} was edited"):
        networks.read(KEY)


def test_people_cannot_be_taken_off_the_list(networks: PretrainedStore, tmp_path: Path) -> None:
    """Whoever is read of the configuration alone is sealed, too."""
    file = folder(tmp_path) / "model.json"
    file.write_text(file.read_text().replace('   "afew/train",\n', ""))
    assert "afew/train" not in file.read_text()
    with pytest.raises(StoreError, match=r"model\.json was edited"):
        networks.facts(KEY)


@pytest.mark.parametrize("name", ["weights.safetensors", "MODEL_CARD.md"])
def test_a_network_that_is_not_whole_is_told(networks: PretrainedStore, tmp_path: Path, name: str) -> None:
    (folder(tmp_path) / name).unlink()
    with pytest.raises(StoreError, match=rf"{name} does not exist: this pretrained network is not whole"):
        networks.read(KEY)


def test_one_without_a_configuration_is_not_there_yet(networks: PretrainedStore, tmp_path: Path) -> None:
    """It is written last, so that a network which was stopped on the way is trained again."""
    (folder(tmp_path) / "model.json").unlink()
    assert networks.stored_keys() == []
    assert networks.facts(KEY) is None
    networks.write(KEY, TOLD, WEIGHTS, "# card\n")
    assert networks.stored_keys() == [KEY]
    networks.remove(KEY)
    assert not folder(tmp_path).exists()


def test_the_first_digits_find_a_key(networks: PretrainedStore) -> None:
    networks.write(OTHER, TOLD, WEIGHTS, "# card\n")
    assert networks.find("ababab") == KEY
    assert networks.find(OTHER) == OTHER
    assert networks.find("ABABCD") == OTHER


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("abab", "no pretrained network of this key"),
        ("123456", r"no pretrained network of this key.*abababababab \(tiny, 9 clips of 2 people"),
        ("nothing", "Expected the first 6 digits or more of a key, a folder"),
    ],
)
def test_an_unknown_key_is_told_with_those_that_are_there(networks: PretrainedStore, text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        networks.find(text)


def test_digits_of_several_keys_name_none(networks: PretrainedStore) -> None:
    networks.write("ababab" + "0" * 58, TOLD, WEIGHTS, "# card\n")
    with pytest.raises(UsageError, match="2 keys begin so: ababab000000, abababababab"):
        networks.find("ababab")


def test_where_there_is_none_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"pretrained: none\. Expected"):
        PretrainedStore(str(tmp_path)).find("123456")


def test_a_folder_from_elsewhere_is_copied_as_it_is(networks: PretrainedStore, tmp_path: Path) -> None:
    write_model(tmp_path / "mine", TOLD, WEIGHTS, "# mine\n")
    networks.copy_in(tmp_path / "mine", OTHER)
    for name in ("weights.safetensors", "MODEL_CARD.md", "model.json"):
        copied = tmp_path / "runs" / "pretrained" / OTHER / name
        assert copied.read_bytes() == (tmp_path / "mine" / name).read_bytes()
    assert networks.read(OTHER).configuration["trained_on"] == TOLD["trained_on"]
