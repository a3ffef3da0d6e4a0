"""A worker trains on what it has, whatever its node claims."""

from __future__ import annotations

import pytest
import torch

from bench.workers.devices import NoGpu, device_here


@pytest.mark.parametrize("there", [True, False])
def test_a_worker_without_a_share_of_a_gpu_trains_on_the_cpu(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)

    assert device_here(given_gpu=False, needs_gpu=True) == ("cpu", "")


def test_a_gpu_that_torch_sees_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    assert device_here(given_gpu=True, needs_gpu=False) == ("cuda", "")


def test_a_gpu_that_is_only_claimed_is_told_and_refused_where_one_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    device, note = device_here(given_gpu=True, needs_gpu=False)

    assert device == "cpu"
    assert "offers a GPU, but torch" in note
    with pytest.raises(NoGpu, match=r"^--device cuda: node .* offers a GPU, but torch .* sees none there"):
        device_here(given_gpu=True, needs_gpu=True)
