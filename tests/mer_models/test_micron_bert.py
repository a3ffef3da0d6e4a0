"""Micron-BERT: weights in the released file's layout, and what its forms look at.

The files are made here, with the names, the wrapping and the settings beside the weights that the released one has.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from mer_models.micron_bert import MicronBERT
from mer_models.registry import MODELS
from preprocess.base.errors import UsageError

SMALL = {"image_size": 32, "dim": 16, "depth": 2}


def build(pretrained: str = "none", seed: int = 0, **params: Any) -> MicronBERT:
    torch.manual_seed(seed)
    return MODELS.get("micron_bert").build(n_classes=3, pretrained=pretrained, **SMALL | params)


def released(network: MicronBERT) -> dict[str, torch.Tensor]:
    """Return a network's weights by the names of the released file, those of its training without labels among them."""
    found = {
        "module.decoder_embed.weight": torch.zeros(8, 16),
        "module.student.backbone.cls_token": torch.zeros(1, 1, 16),
        "module.teacher.head.mlp.0.bias": torch.zeros(4),
        "module.dino_loss_fn.center": torch.zeros(1, 4),
    }
    for name, value in network.state_dict().items():
        part, _, rest = name.partition(".")
        if part == "encoder":
            found["module.backbone." + rest.replace("patch_embed.", "patch_embed.proj.")] = value
        elif part == "compare":
            found[f"module.att.{rest}"] = value
    return found


def save(path: Path, weights: dict[str, torch.Tensor], **beside: Any) -> str:
    settings = argparse.Namespace(model_name="mae_vit_small_patch8", diag_att=False, img_size=224, lr=0.00025)
    torch.save({"model": weights, "args": settings, "epoch": 199, **beside}, path)
    return str(path)


def the_same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    weights = second.state_dict()
    return all(torch.equal(value, weights[name]) for name, value in first.state_dict().items())


def test_the_encoder_and_the_attention_start_from_the_released_file(tmp_path: Path) -> None:
    trained = build(seed=3)
    path = save(tmp_path / "released.pth", released(trained))
    first, again = (build(path, seed=seed) for seed in (1, 2))
    assert the_same(trained.encoder, first.encoder)
    assert trained.compare
    assert first.compare
    assert the_same(trained.compare, first.compare)
    assert not torch.equal(first.classifier[4].weight, again.classifier[4].weight), "the head is drawn"


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_plain_files_of_these_weights_will_do(tmp_path: Path, suffix: str) -> None:
    from safetensors.torch import save_file

    trained, file = build(seed=3), tmp_path / f"plain{suffix}"
    weights = {name.removeprefix("module."): value for name, value in released(trained).items()}
    save_file(weights, file) if suffix == ".safetensors" else torch.save(weights, file)
    assert the_same(trained.encoder, build(str(file)).encoder)


def test_as_published_needs_no_attention_in_the_file_and_trains_the_head_alone(tmp_path: Path) -> None:
    trained = build(seed=3)
    weights = {name: value for name, value in released(trained).items() if ".att." not in name}
    network = build(save(tmp_path / "encoder.pth", weights), as_published=True).train()
    functional.cross_entropy(network(torch.rand(3, 2, 3, 32, 32)), torch.arange(3)).backward()
    moved = {name for name, one in network.named_parameters() if one.grad is not None and one.grad.abs().max() > 0}
    assert moved == {name for name, _ in network.named_parameters() if name.startswith("classifier.")}
    assert the_same(trained.encoder, network.encoder)


def test_without_a_file_the_system_says_which_one_it_needs() -> None:
    expected = (
        r"micron_bert\.pretrained is 'default', but no library has the weights .* CASME2-is224-p8-b16-ep200\.pth .*"
        r"--set micron_bert\.pretrained=PATH; --set micron_bert\.pretrained=none starts from random weights\."
    )
    for as_published in (False, True):
        with pytest.raises(UsageError, match=expected):
            build("default", as_published=as_published)


def test_files_that_hold_other_weights_are_named(tmp_path: Path) -> None:
    path, weights = tmp_path / "other.pth", released(build())
    sizes = r"Expected the encoder of Micron-BERT with 2 layers of 16 values and 17 places"
    without = {name: value for name, value in weights.items() if name != "module.att.to_k.bias"}
    with pytest.raises(UsageError, match=rf"micron_bert\.pretrained is .* the file holds no att\.to_k\.bias\. {sizes}"):
        build(save(path, without))
    with pytest.raises(UsageError, match=r"pos_embed is \(1, 17, 16\), the network's \(1, 65, 16\).* 65 places"):
        build(save(path, weights), image_size=64)
    with pytest.raises(UsageError, match=r"the network has no backbone\.blocks\.1\.\S+\. Expected .* 1 layers"):
        build(save(path, weights), depth=1)
    with pytest.raises(UsageError, match=r"holds no backbone\.blocks\.2\."):
        build(save(path, weights), depth=3)
    with pytest.raises(UsageError, match=r"micron_bert\.pretrained is .* no such file"):
        build(str(tmp_path / "none.pth"))
    path.write_bytes(b"no weights")
    with pytest.raises(UsageError, match=r"micron_bert\.pretrained is .* cannot be read"):
        build(str(path))


def test_code_beside_the_weights_is_not_run(tmp_path: Path) -> None:
    path = save(tmp_path / "code.pth", released(build()), where=Path("/"))
    with pytest.raises(
        UsageError, match=r"micron_bert\.pretrained is .* cannot be read: it holds pathlib.*no tensor but code"
    ):
        build(path)


def test_a_place_is_compared_with_the_same_place_of_the_onset_where_the_attention_is_diagonal() -> None:
    network = build(attention="diagonal")
    compare = network.compare
    assert compare
    after, before = torch.rand(1, 16, 16), torch.rand(1, 16, 16)
    seen = compare(after, before)
    weights = (compare.to_q(after) @ compare.to_k(before).mT / 4).softmax(dim=-1)
    torch.testing.assert_close(seen[0, 5], compare.proj(weights[0, 5, 5] * compare.to_v(after)[0, 5]))
    full = build(attention="full").compare
    assert full
    torch.testing.assert_close(full(after, before)[0, 5], full.proj(weights[0, 5] @ full.to_v(after)[0]))


@pytest.mark.parametrize(("as_published", "sees_the_onset"), [(False, True), (True, False)])
def test_as_published_does_not_see_the_onset(as_published: bool, sees_the_onset: bool) -> None:
    network = build(as_published=as_published).eval()
    frames = torch.rand(2, 2, 3, 32, 32)
    logits = network(frames)
    for place, seen in ((0, sees_the_onset), (1, True)):
        changed = frames.clone()
        changed[:, place] = frames[:, place].flip(-1)
        assert torch.equal(network(changed), logits) != seen
