"""What was made last is kept, up to a total size."""

from __future__ import annotations

import pytest

from preprocess.base.recent import Recent


def test_what_was_asked_for_last_is_kept_up_to_a_total_size() -> None:
    made: list[str] = []

    def ask(word: str) -> str:
        return recent.get(word, lambda: made.append(word) or word)  # type: ignore[func-returns-value]

    recent = Recent[str](6, len)
    assert [ask(word) for word in ("ab", "cd", "ab", "efg", "ab", "cd")] == ["ab", "cd", "ab", "efg", "ab", "cd"]
    assert made == ["ab", "cd", "efg", "cd"], "cd was asked for longest ago, and does not fit beside ab and efg"
    ask("toolong")
    made.clear()
    ask("toolong")
    ask("cd")
    assert made == ["toolong"], "more than fits in is not kept, and takes nobody's place"


def test_what_is_cleared_is_made_anew_and_takes_no_place() -> None:
    made: list[str] = []
    recent = Recent[str](4, len)
    for words in (("ab", "cd"), ("ef", "gh")):
        recent.clear()
        for word in (*words, *words):
            recent.get(word, lambda word=word: made.append(word) or word)  # type: ignore[func-returns-value, misc]
    assert made == ["ab", "cd", "ef", "gh"]


def test_what_could_not_be_made_is_tried_anew() -> None:
    recent: Recent[float] = Recent(2)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            recent.get("one", lambda: 1 / 0)
    assert recent.get("one", lambda: 1.0) == 1.0
