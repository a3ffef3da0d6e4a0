"""On what a worker trains: what it really has, not what its node claims."""

from __future__ import annotations

import socket

from preprocess.base.errors import MerError, UsageError


class NoGpu(MerError):
    """A node that offers a GPU which torch cannot use."""


def device_here(given_gpu: bool, needs_gpu: bool) -> tuple[str, str]:
    """Return torch's name of the device on which this worker trains, and what is to be told of it, if anything.

    Parameters
    ----------
    given_gpu : whether Ray gave this worker a GPU, or a part of one.
    needs_gpu : whether one that torch cannot use is an error.

    Raises
    ------
    NoGpu : it is one.
    """
    if not given_gpu:
        return "cpu", ""
    import torch

    if torch.cuda.is_available():
        return "cuda", ""
    problem = f"node {socket.gethostname()} offers a GPU, but torch {torch.__version__} sees none there"
    if needs_gpu:
        raise NoGpu(
            f"--device cuda: {problem} (a wrong driver, or torch without CUDA?). --device auto would train on its CPUs."
        )
    return "cpu", f"warning: {problem}: its workers train on the CPU."


def chosen_device(given: str) -> str:
    """Return torch's name of the device of a command that computes in its own process.

    Parameters
    ----------
    given : ``--device``; ``auto`` takes a GPU where there is one.

    Raises
    ------
    UsageError : a GPU was asked for, and there is none.
    """
    import torch

    there = torch.cuda.is_available()
    if given == "cuda" and not there:
        raise UsageError("--device cuda: there is no GPU here. Leave it out, or use a machine that has one.")
    return "cuda" if there and given != "cpu" else "cpu"
