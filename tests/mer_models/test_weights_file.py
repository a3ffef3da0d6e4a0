"""A file of weights counts by what is in it: neither its name nor its folder is part of a key."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mer_models._parts.weights_file import by_content, read_weights
from preprocess.base.errors import DataError


def test_equal_files_count_as_one_wherever_they_lie_and_a_changed_one_as_another(tmp_path: Path) -> None:
    first, second = tmp_path / "a.pth", tmp_path / "elsewhere" / "b.safetensors"
    second.parent.mkdir()
    for file in (first, second):
        file.write_bytes(b"weights")
    assert by_content(str(first)) == by_content(str(second)) == f"sha256:{hashlib.sha256(b'weights').hexdigest()}"
    first.write_bytes(b"others!!")
    assert by_content(str(first)) != by_content(str(second))


@pytest.mark.parametrize("value", ["none", "default", 3, True, None, 0.5, "gone.pth", "a.pth/b"])
def test_other_values_count_as_they_are(value: object) -> None:
    assert by_content(value) == value


WEIGHTS = nn.BatchNorm1d(2).state_dict()


@pytest.mark.parametrize(
    "wrapped",
    [
        WEIGHTS,
        nn.BatchNorm1d(2).state_dict(keep_vars=True),
        {"epoch": 3, "state_dict": WEIGHTS, "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "best": 0.5}},
        {"model": {"state_dict": WEIGHTS}, "args": None},
        {f"module.{name}": value for name, value in WEIGHTS.items()},
        {"model_state_dict": {f"module._orig_mod.{name}": value for name, value in WEIGHTS.items()}},
        {"net": {f"_orig_mod.module.{name}": value for name, value in WEIGHTS.items()}, "loss": 0.1},
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".weights"])
def test_weights_are_taken_out_of_what_training_scripts_put_around_them(
    tmp_path: Path, wrapped: Any, suffix: str
) -> None:
    file = tmp_path / f"a{suffix}"
    torch.save(wrapped, file)
    found = read_weights(file)
    assert found.keys() == WEIGHTS.keys()
    assert all(torch.equal(value, WEIGHTS[name]) for name, value in found.items())


def test_safetensors_are_read_by_their_ending(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "a.safetensors")
    assert read_weights(tmp_path / "a.safetensors").keys() == WEIGHTS.keys()


class Runs:
    """What makes a file that runs a command where it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_not_run_and_named(tmp_path: Path, zipped: bool) -> None:
    file, trace = tmp_path / "a.pth", tmp_path / "it_ran"
    held = {"state_dict": WEIGHTS, "evil": Runs(f"touch {trace}")}
    if zipped:
        torch.save(held, file)
    else:
        file.write_bytes(pickle.dumps(held))
    told = r"holds (posix|nt)\.system, which is no tensor but code" if zipped else "is no file of tensors"
    with pytest.raises(DataError, match=rf"{file} cannot be read: it {told}.* is never run here") as caught:
        read_weights(file)
    assert "weights_only" not in str(caught.value)
    assert not trace.exists()


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_a_program_is_refused(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(1, 1)), str(tmp_path / "a.pt"))
    with pytest.raises(DataError, match="it is a TorchScript program"):
        read_weights(tmp_path / "a.pt")


def test_a_whole_network_is_refused_with_the_remedy(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "a.pth")
    told = r"holds torch\.nn\.modules\.linear\.Linear, .* torch\.save\(network\.state_dict\(\), PATH\)"
    with pytest.raises(DataError, match=told):
        read_weights(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("held", "told"),
    [
        (torch.zeros(3), "expected tensors by name, and found a Tensor"),
        ({}, "found nothing"),
        ({"epoch": 3, "best": 0.5}, r"found epoch \(int\), best \(float\)"),
        ({"a": torch.zeros(1), "epoch": 3}, r"found a \(Tensor\), epoch \(int\)"),
    ],
)
def test_a_file_without_weights_says_what_it_holds(tmp_path: Path, held: Any, told: str) -> None:
    torch.save(held, tmp_path / "a.pth")
    with pytest.raises(DataError, match=told):
        read_weights(tmp_path / "a.pth")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\x03\x04 cut"])
def test_a_damaged_file_is_named(tmp_path: Path, suffix: str, content: bytes) -> None:
    file = tmp_path / f"a{suffix}"
    file.write_bytes(content)
    with pytest.raises(DataError, match=rf"{file} cannot be read: "):
        read_weights(file)
