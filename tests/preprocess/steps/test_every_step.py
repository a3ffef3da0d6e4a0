"""Every registered step, of this package or not: it passes its checks, and one that could not be used is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from registered import every, passes
from works import work_of

from bench.checks.check import Check
from preprocess.base.errors import UsageError
from preprocess.steps import STEPS, Work, register_step


@pytest.mark.slow
@pytest.mark.parametrize("check", every("step", slow="*"))
def test_every_step_passes_its_checks(check: Check) -> None:
    passes(check)


@pytest.mark.parametrize("name", STEPS.names())
def test_a_step_refuses_an_option_that_it_does_not_have(name: str) -> None:
    with pytest.raises(UsageError, match=f"my recipe: step {name} has no option 'no_such_option'"):
        STEPS.get(name).options({"no_such_option": 1}, "my recipe")


def undescribed(work: Work) -> Work:
    return work


def positional(work: Work, size: int = 3) -> Work:
    """Take an option in the middle."""
    return work


def good(work: Work, *, size: int = 3) -> Work:
    """Do nothing."""
    return work


@pytest.mark.parametrize(
    ("run", "version", "message"),
    [
        (
            undescribed,
            1,
            r"Step wrong \(.*undescribed\) has no docstring; its first line is what `merbench list",
        ),
        (positional, 1, r"Step wrong \(.*positional\): size is not keyword-only; write run\(work, \*, size=\.\.\.\)"),
        (good, 0, r"Step wrong \(.*good\): version is 0; expected a whole number above 0"),
    ],
)
def test_a_step_that_could_not_be_used_is_refused_when_it_is_registered(
    run: Callable[..., Work], version: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        register_step("wrong", version=version)(run)
    assert "wrong" not in STEPS.names()
    assert good(work_of()).tensor is None
