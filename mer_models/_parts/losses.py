"""Losses that some networks are published with, each for one class a sample and for several labels a sample."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def targets_of(labels: Tensor, n_classes: int) -> Tensor:
    """Return (n, n_classes) float of 0 and 1: labels (n,) as class indices, or (n, n_classes) as they are."""
    return (functional.one_hot(labels, n_classes) if labels.dim() == 1 else labels).float()


def focal_loss(logits: Tensor, labels: Tensor, gamma: float = 2.0) -> Tensor:
    """Return the mean cross-entropy, each term times (1 - probability of the truth) ** gamma.

    logits : (n, k). labels : (n,) class indices, or (n, k) of 0 and 1, which makes each label a binary term.
    Lin et al., ICCV 2017.
    """
    if labels.dim() == 1:
        entropy = functional.cross_entropy(logits, labels, reduction="none")
    else:
        entropy = functional.binary_cross_entropy_with_logits(logits, labels.float(), reduction="none")
    return ((1 - torch.exp(-entropy)) ** gamma * entropy).mean()


def margin_loss(presence: Tensor, labels: Tensor, high: float, low: float, absent_weight: float) -> Tensor:
    """Return the capsules' margin loss, summed over classes, mean over samples.

    presence : (n, k) in 0..1, pulled above ``high`` for classes shown and below ``low`` for the others, whose share is
    weighted by ``absent_weight``. labels : as in ``focal_loss``. Sabour et al., NeurIPS 2017.
    """
    shown = targets_of(labels, presence.shape[1])
    missed = functional.relu(high - presence).square()
    false = functional.relu(presence - low).square()
    return (shown * missed + absent_weight * (1 - shown) * false).sum(dim=1).mean()


def contrastive_loss(embeddings: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return the supervised contrastive loss of a batch: samples alike are drawn together, others pushed apart.

    embeddings : (n, d) of length 1. labels : (n,) class indices, where samples of one class are alike, or (n, k) of 0
    and 1, where two samples are as alike as the labels that both show among those that one shows (Jaccard).
    Samples that are like no other one of the batch have no term; without any, the loss is 0.
    Khosla et al., NeurIPS 2020, with weights as in SAMER.
    """
    apart = ~torch.eye(len(embeddings), dtype=torch.bool, device=embeddings.device)
    logits = (embeddings @ embeddings.T / temperature).masked_fill(~apart, torch.finfo(embeddings.dtype).min)
    log_share = functional.log_softmax(logits, dim=1)
    weights = _likeness(labels) * apart
    totals = weights.sum(dim=1)
    terms = -(weights * log_share).sum(dim=1) / totals.clamp_min(1e-6)
    return terms.sum() / (totals > 0).sum().clamp_min(1)


def _likeness(labels: Tensor) -> Tensor:
    """Return (n, n) in 0..1."""
    if labels.dim() == 1:
        return (labels[:, None] == labels[None]).float()
    shown = labels.float()
    both = shown @ shown.T
    either = shown.sum(dim=1)[:, None] + shown.sum(dim=1)[None] - both
    return both / either.clamp_min(1)
