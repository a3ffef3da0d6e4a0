"""What a check is: a function that raises ``CheckFailed``, and how it is carried out so that a person sees why."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from preprocess.base.docs import first_line
from preprocess.base.errors import MerError

PREFIX = "check_"


class CheckFailed(MerError):
    """Something registered does not do what merbench relies on; the message says what, and what to do."""


class NotTried(Exception):
    """A check that has nothing to look at here; the message says why."""


@dataclass(frozen=True)
class Check:
    """One check of one thing.

    Attributes
    ----------
    module : where the function that looks stands.
    name : of this function, without its prefix.
    title : what must hold, in one sentence.
    run : looks whether it does; raises CheckFailed where it does not, NotTried where there is nothing to look at.
    """

    module: str
    name: str
    title: str
    run: Callable[[], None]


@dataclass(frozen=True)
class Verdict:
    """What came of a check.

    Attributes
    ----------
    title : what must hold.
    state : ``ok``, ``FAILED`` or ``not tried``.
    reason : why it failed or was not tried; "" where it is ok.
    """

    title: str
    state: Literal["ok", "FAILED", "not tried"]
    reason: str = ""


def expect(holds: object, message: str) -> None:
    """Raise CheckFailed with the message unless something holds."""
    if not holds:
        raise CheckFailed(message)


def functions_of(module: ModuleType) -> list[Callable[[Any], None]]:
    """Return the check functions that a module defines, in the order in which they stand there."""
    found = [value for name, value in vars(module).items() if name.startswith(PREFIX)]
    return [one for one in found if one.__module__ == module.__name__]


def checks_of(module: ModuleType, case: Any) -> list[Check]:
    """Return a module's checks of one case. Their titles are the first lines of the docstrings."""
    return [
        Check(one.__module__, one.__name__.removeprefix(PREFIX), first_line(one), _bound(one, case))
        for one in functions_of(module)
    ]


def _bound(function: Callable[[Any], None], case: Any) -> Callable[[], None]:
    return lambda: function(case)


def carried_out(checks: list[Check], file: Path | None = None) -> Iterator[Verdict]:
    """Carry out checks and yield what came of each; whatever a plug-in raises is a verdict, too.

    Parameters
    ----------
    checks : in the order to try them.
    file : where the code under check stands, so that an error in it is told with its line; None where not known.
    """
    for check in checks:
        try:
            check.run()
        except NotTried as reason:
            yield Verdict(check.title, "not tried", str(reason))
        except MerError as error:
            yield Verdict(check.title, "FAILED", str(error))
        except Exception as error:
            yield Verdict(check.title, "FAILED", _told(error, file))
        else:
            yield Verdict(check.title, "ok")


def _told(error: Exception, file: Path | None) -> str:
    """Return an unforeseen error in one line, with the place in the plug-in that it comes from."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if file is not None and Path(frame.filename) == file]
    place = own[-1] if own else frames[-1]
    return f"{text} ({place.filename}, line {place.lineno}: {place.line})"
