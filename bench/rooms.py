"""Whether the rooms that Python finds are those of this program. Imports nothing of them.

The rooms are top-level packages with common names. A ``preprocess.py`` or ``results/`` of somebody else that comes
earlier on Python's path would be imported in their place, and fail somewhere inside.
"""

from __future__ import annotations

import codecs
import importlib.util
import io
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

HOME = Path(__file__).resolve().parents[1]
# Also in ``preprocess.base.code``, which may be somebody else's until this check has passed; a test compares them.
ROOMS = ("bench", "cluster", "mer_models", "preprocess", "results")


def wrong_room() -> str:
    """Return which room is taken from elsewhere, what was expected and what to do; "" where all are right."""
    for room in ROOMS:
        found, expected = _found(room), HOME / room / "__init__.py"
        if found != str(expected):
            return (
                f"Python takes {found or 'nothing'} for the module {room!r}, which merbench expects at {expected}. "
                f"{_advice(found)}"
            )
    return ""


def start(arguments: list[str] | None = None) -> None:
    """Run the command line; exit status 2, with one line, where a room is somebody else's or Python is unfit."""
    _open_what_is_closed()
    _write_every_letter()
    _have_a_home()
    wrong = _too_old() or wrong_room() or _without_docstrings()
    if wrong:
        _refuse(wrong)
    try:
        from bench.cli import main
        from preprocess.base.garbage import look_rarely

        look_rarely()
        main(arguments)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if not package or package in ROOMS:
            raise
        _refuse(f"This Python, {sys.executable}, has no package {package}, which merbench needs. {_ANOTHER}")
    finally:
        # All is told. A Ctrl-C that comes while Python ends would only print where it was.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


_ANOTHER = (
    "Take the one that merbench is installed for: from a checkout, `uv run python ...`; elsewhere, also in a job on a "
    "cluster, the environment's own `python` by its full path."
)


def _refuse(why: str) -> NoReturn:
    print(f"error: {why}", file=sys.stderr)
    sys.exit(2)


def _too_old() -> str:
    """Return that this Python is too old for the rest of the program; "" where it is not."""
    # pyproject.toml says so, too, to those who install.
    if sys.version_info >= (3, 11):  # noqa: UP036 - this file is read by others
        return ""
    return f"merbench needs Python 3.11 or newer, and {sys.executable} is Python {sys.version.split()[0]}. {_ANOTHER}"


def _open_what_is_closed() -> None:
    """Lead standard streams that were closed (``>&-``) nowhere, or the next file opened would be taken for one."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))


def _write_every_letter() -> None:
    """Begin again in UTF-8 where Python takes file names for ASCII or Latin-1; no letter that is printed ends a run.

    People, folders and files may have any name; and the workers, which have the same environment, write files too.
    """
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    for stream in (sys.stdout, sys.stderr):
        # PYTHONIOENCODING may still say otherwise; click, which prints too, takes ASCII for a mistake, and other
        # encodings at their word.
        if isinstance(stream, io.TextIOWrapper):
            ascii_only = codecs.lookup(stream.encoding).name == "ascii"
            errors = "replace" if stream.errors == "strict" else stream.errors
            stream.reconfigure(encoding="utf-8" if ascii_only else stream.encoding, errors=errors)


def _have_a_home() -> None:
    """Name a home folder where there is none: a container's user may be a number that no list of users knows."""
    # Ray's modules ask for it as they are imported.
    if os.path.expanduser("~") == "~":
        os.environ["HOME"] = os.sep


def _without_docstrings() -> str:
    """Return what is wrong with ``python -OO``; "" without it. Listings and ``--help`` come from docstrings."""
    if sys.flags.optimize < 2:
        return ""
    return "Python runs with -OO (or PYTHONOPTIMIZE=2), without the docstrings that merbench reads. Leave it out."


def _found(room: str) -> str:
    try:
        spec = importlib.util.find_spec(room)
    except (ImportError, ValueError):
        return ""
    if spec is None:
        return ""
    places = [spec.origin] if spec.has_location and spec.origin else list(spec.submodule_search_locations or [])
    return str(Path(places[0]).resolve()) if places else ""


def _advice(found: str) -> str:
    if not found:
        return "Install merbench again."
    folders = [Path(entry or ".").resolve() for entry in sys.path]
    folder = next((one for one in folders if Path(found).is_relative_to(one)), Path(found).parent)
    if folder in [Path(part).resolve() for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]:
        return f"{folder} is in PYTHONPATH: take it out, or rename that module."
    if folder == Path.cwd():
        return f"It lies in the current folder, {folder}: start from another one, or rename that module."
    return f"{folder} comes earlier on Python's path: rename or uninstall what lies there."
