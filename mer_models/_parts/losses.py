"""Losses that some networks are published with, each for one class a sample and for several labels a sample."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def targets_of(labels: Tensor, n_classes: int) -> Tensor:
    """Return (n, n_classes) float of 0 and 1: labels (n,) as class indices, or (n, n_classes) as they are."""
    return (functional.one_hot(labels, n_classes) if labels.dim() == 1 else labels).float()


def focal_loss(logits: Tensor, labels: Tensor, gamma: float = 2.0) -> Tensor:
    """Return the mean cross-entropy, each term times (1 - probability of the truth) ** gamma (Lin et al., ICCV 2017).

    Parameters
    ----------
    logits : (n, k).
    labels : (n,) class indices; or (n, k), 0 and 1, which makes each label a binary term.
    gamma : how strongly terms count less that are right already; 0 is plain cross-entropy.
    """
    if labels.dim() == 1:
        entropy = functional.cross_entropy(logits, labels, reduction="none")
    else:
        entropy = functional.binary_cross_entropy_with_logits(logits, labels.float(), reduction="none")
    return ((1 - torch.exp(-entropy)) ** gamma * entropy).mean()


def margin_loss(presence: Tensor, labels: Tensor, high: float, low: float, absent_weight: float) -> Tensor:
    """Return the margin loss of capsules, summed over classes, mean over samples (Sabour et al., NeurIPS 2017).

    Parameters
    ----------
    presence : (n, k) in 0..1.
    labels : as for ``focal_loss``.
    high : the presence of a shown class costs nothing above it.
    low : the presence of another class costs nothing below it.
    absent_weight : weight of the other classes.
    """
    shown = targets_of(labels, presence.shape[1])
    missed = functional.relu(high - presence).square()
    false = functional.relu(presence - low).square()
    return (shown * missed + absent_weight * (1 - shown) * false).sum(dim=1).mean()


def contrastive_loss(embeddings: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return the supervised contrastive loss of a batch: it draws similar samples together and pushes others apart.

    Parameters
    ----------
    embeddings : (n, d) of length 1.
    labels : (n,) class indices: samples of one class are similar. Or (n, k), 0 and 1: the similarity of two samples is
        the number of labels that both show, divided by the number that at least one shows (Jaccard).
    temperature : divides the inner products; a lower one looks at the nearest neighbours more.

    Returns
    -------
    A scalar. A sample that is similar to no other one of the batch has no term; 0 where there is no term.

    Notes
    -----
    Khosla et al., NeurIPS 2020, with weights as in SAMER.
    """
    apart = ~torch.eye(len(embeddings), dtype=torch.bool, device=embeddings.device)
    logits = (embeddings @ embeddings.T / temperature).masked_fill(~apart, torch.finfo(embeddings.dtype).min)
    log_share = functional.log_softmax(logits, dim=1)
    weights = likeness(labels) * apart
    totals = weights.sum(dim=1)
    terms = -(weights * log_share).sum(dim=1) / totals.clamp_min(1e-6)
    return terms.sum() / (totals > 0).sum().clamp_min(1)


def likeness(labels: Tensor) -> Tensor:
    """Return how alike each two samples are, (n, n) in 0..1: see ``contrastive_loss``."""
    if labels.dim() == 1:
        return (labels[:, None] == labels[None]).float()
    shown = labels.float()
    both = shown @ shown.T
    either = shown.sum(dim=1)[:, None] + shown.sum(dim=1)[None] - both
    return both / either.clamp_min(1)
