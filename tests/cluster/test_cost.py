"""What a sweep costs, by the rule and the table that cluster/README.md names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cluster.cost import CLIPS, START_SECONDS, TABLE, Sweep, cost, main, seconds_a_fold
from preprocess.base.errors import UsageError

README = Path(__file__).resolve().parents[2] / "cluster" / "README.md"
SECONDS = {"fast": 1.0, "slow": 9.0, "other": 100.0}


def test_folds_seeds_and_clips_count_in_proportion() -> None:
    once = cost(Sweep(("fast", "slow"), folds=36, clips=CLIPS), 1, 1.0, SECONDS)
    assert (once.folds, once.core_hours) == (72, pytest.approx(0.1))
    many = cost(Sweep(("fast", "s*"), folds=36, seeds=3, clips=2 * CLIPS), 1, 1.0, SECONDS)
    assert (many.folds, many.core_hours) == (216, pytest.approx(0.6))


def test_workers_share_the_time_and_the_bill_stays() -> None:
    sweep = Sweep(("slow",), folds=4000, clips=CLIPS)
    one, many = cost(sweep, 1, 1.0, SECONDS), cost(sweep, 100, 1.0, SECONDS)
    assert many.hours == pytest.approx((360 + 9 + START_SECONDS) / 3600)
    assert many.worker_hours == pytest.approx(one.worker_hours + 99 * START_SECONDS / 3600)
    assert cost(sweep, 100, 10.0, SECONDS).hours < many.hours / 3


def test_a_model_without_a_figure_is_told() -> None:
    with pytest.raises(UsageError, match=r"'slowest'.*has no seconds of it\. Did you mean.*slow"):
        cost(Sweep(("fast", "slowest")), 1, 1.0, SECONDS)


def test_the_table_has_a_figure_of_nearly_every_model() -> None:
    seconds = seconds_a_fold(TABLE.read_text(encoding="utf-8"))
    assert len(seconds) > 30
    assert seconds["majority"] == 0
    assert 0.1 < seconds["ststnet"] < 10


def test_the_page_shows_about_what_the_command_says(capsys: pytest.CaptureFixture[str]) -> None:
    block = r"```bash\npython -m cluster\.cost (.*)\n```\n+```\n(.*?)```"
    shown = re.findall(block, README.read_text(encoding="utf-8"), re.DOTALL)
    assert shown
    for words, output in shown:
        assert main(words.split()) == 0
        said = capsys.readouterr().out
        assert numbers(said) == pytest.approx(numbers(output), rel=0.3)
        assert re.sub(r"[\d.,]+", "", said) == re.sub(r"[\d.,]+", "", output)


def numbers(text: str) -> list[float]:
    """Return the numbers of a text."""
    return [float(found.replace(",", "")) for found in re.findall(r"\d[\d,]*\.?\d*", text)]
