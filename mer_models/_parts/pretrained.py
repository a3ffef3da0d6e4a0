"""Weights that others trained: which ones are wanted, and what to say where they cannot be had."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeVar

from mer_models.contracts import Refused
from preprocess.base.errors import UsageError

T = TypeVar("T")


class NoWeights(UsageError):
    """The weights that a model starts from by its own default cannot be had; where nobody named it, it is left out."""


NONE = "none"
DEFAULT = "default"
REFUSED_WEIGHTS = (Refused("pretrained", "mine", "none or default"),)
"""What the option ``pretrained`` of networks refuses whose library has one set of weights."""
ANSWER_SECONDS = 5.0
"""How long the hub may take to connect, and to answer, before it counts as out of reach."""
SILENT_SECONDS = 20.0
"""How long a server may send nothing while weights are downloaded, before that counts as failed."""


def fetched(setting: str, given: str, source: str, fetch: Callable[[], T]) -> T:
    """Return what ``fetch`` returns.

    Parameters
    ----------
    setting : ``model.pretrained``, for the message.
    given : its value.
    source : where the weights come from, for the message.
    fetch : loads them.

    Raises
    ------
    NoWeights : the weights cannot be had.
    """
    before = socket.getdefaulttimeout()
    # torch.hub names no time-out of its own, and would wait for ever for a server that connects and stays silent.
    socket.setdefaulttimeout(SILENT_SECONDS)
    try:
        return fetch()
    except Exception as error:
        # Libraries raise what they like here: no network, no such weights, a damaged file in their cache.
        reason = " ".join(str(error).split())[:300]
        raise NoWeights(
            f"{setting} is {given!r}, but these weights cannot be had from {source}: {type(error).__name__}: {reason} "
            f"Check the name and the network, or put the file into the library's cache on every node; "
            f"--set {setting}={NONE} starts from random weights."
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def fetched_from_hub(setting: str, given: str, fetch: Callable[[], T]) -> T:
    """Return what ``fetch`` returns, in which timm loads from Hugging Face's hub.

    If the hub does not answer, only its cache is used: its library would otherwise ask six times for each of a
    network's files, with pauses that add up to most of a minute.

    Parameters
    ----------
    setting, given, fetch : as for ``fetched``.

    Raises
    ------
    NoWeights : the weights cannot be had.
    """
    from huggingface_hub import constants

    source, silence = f"the hub that timm loads from, {constants.ENDPOINT}", _silence_of_hub()
    if silence:
        source += f", which does not answer ({silence}), nor from its cache"
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or bool(silence)
    try:
        return fetched(setting, given, source, fetch)
    finally:
        constants.HF_HUB_OFFLINE = before


def _silence_of_hub() -> str:
    """Return why the hub cannot be asked, "" where it answers, whatever it says."""
    from huggingface_hub import constants, get_session

    try:
        # Over the library's own connection, with the proxies and certificates that it will use.
        get_session().head(constants.ENDPOINT, timeout=ANSWER_SECONDS)
    except Exception as error:
        # Which class it is depends on the HTTP library, and that on the version of the hub's.
        return f"{type(error).__name__}: {error}"
    return ""
