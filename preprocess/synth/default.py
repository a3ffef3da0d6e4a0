"""The embedded default data: three small rendered databases in the user's cache."""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path

from preprocess.base.hashing import digest
from preprocess.synth.databases import Options, plan
from preprocess.synth.trees import Progress, render

DEFAULT = (
    Options("casme2", subjects=8, clips=7.0),
    Options("samm", subjects=7, clips=7.0),
    Options("smic", subjects=7, clips=7.0),
)
"""What a run without --data is carried out on."""


def make_default(home: Path | None = None, progress: Progress | None = None) -> Path:
    """Render the default databases that do not exist yet.

    Parameters
    ----------
    home : the folder for them; None is ``merbench`` in the user's cache, or one in the temporary folder where there is
        no cache to write to, as in a container whose user has no home.
    progress : called after each subject.

    Returns
    -------
    The folder that holds them, as ``default_folder`` tells.

    Raises
    ------
    DataError : it cannot be written.
    """
    root = default_folder(home)
    total = sum(len(plan(options)) for options in DEFAULT)
    before = 0
    for options in DEFAULT:
        render(options, root / options.like, progress and partial(_shifted, progress, before, total))
        before += len(plan(options))
    return root


def default_folder(home: Path | None = None) -> Path:
    """Return the folder of the default databases. Each lies in it under the name of the database that it imitates.

    Parameters
    ----------
    home : as for ``make_default``.

    Returns
    -------
    ``synthetic-<digest of the options>`` in ``home``.
    """
    if home is None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "merbench"
        home = cache if _can_be_made(cache) else Path(tempfile.gettempdir()) / f"merbench-{os.getuid()}"
    return home / f"synthetic-{digest([options.as_json() for options in DEFAULT])[:12]}"


def _can_be_made(folder: Path) -> bool:
    """Return whether a folder is there, or can be made, and can be written to."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _shifted(progress: Progress, before: int, total: int, done: int, _: int) -> None:
    """Tell the progress of one database as that of all."""
    progress(before + done, total)
