"""Settings that hold for a block: there inside it, and as they were after it, also after an error."""

from __future__ import annotations

import logging
import os

import pytest

from preprocess.base.scoped import environment, muted


@pytest.mark.parametrize("error", [False, True])
def test_variables_are_put_back(monkeypatch: pytest.MonkeyPatch, error: bool) -> None:
    monkeypatch.setenv("MER_GIVEN", "by hand")
    monkeypatch.delenv("MER_ABSENT", raising=False)
    try:
        with environment({"MER_GIVEN": "1", "MER_ABSENT": "2"}):
            assert (os.environ["MER_GIVEN"], os.environ["MER_ABSENT"]) == ("1", "2")
            if error:
                raise RuntimeError
    except RuntimeError:
        assert error
    assert os.environ["MER_GIVEN"] == "by hand"
    assert "MER_ABSENT" not in os.environ


def test_who_has_set_a_variable_is_obeyed_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MER_GIVEN", "by hand")
    monkeypatch.delenv("MER_ABSENT", raising=False)
    with environment({"MER_GIVEN": "1", "MER_ABSENT": "2"}, keep=True):
        assert (os.environ["MER_GIVEN"], os.environ["MER_ABSENT"]) == ("by hand", "2")
    assert os.environ["MER_GIVEN"] == "by hand"
    assert "MER_ABSENT" not in os.environ


def test_loggers_are_mute_inside_and_speak_again_after(caplog: pytest.LogCaptureFixture) -> None:
    logger, child = logging.getLogger("mer_test"), logging.getLogger("mer_test.part")
    logger.setLevel(logging.INFO)
    with muted("mer_test"):
        logger.error("inside")
        child.error("inside")
    logger.info("after")
    child.info("after")
    assert [record.message for record in caplog.records] == ["after", "after"]
    assert (logger.level, child.level) == (logging.INFO, logging.NOTSET)


def test_an_error_leaves_no_logger_mute() -> None:
    logger = logging.getLogger("mer_test.other")
    with pytest.raises(RuntimeError), muted("mer_test.other"):
        raise RuntimeError
    assert logger.level == logging.NOTSET
