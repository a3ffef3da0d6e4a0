"""A comparison in print: every number once, in each format, and what it does not hold."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from preprocess.base.errors import UsageError
from results.scores.comparison import Comparison
from results.scores.gathered import LeftOut
from results.scores.pairs import Difference, Pair
from results.views.comparison_text import FORMATS, render
from results.views.comparison_words import signed

LEFT_OUT = "Left out of casme2 · megc3 · loso · last: htnet (seed 0-2), mmnet (seed 1): 3/24 folds are done: no score"


def pair(second: str = "majority", dataset: str = "casme2", seeds: int = 2) -> Pair:
    uf1 = Difference(0.7353, 0.2, 0.5353, 0.41, 0.66, 0.0002, 0.0004, [0.55, 0.5206][:seeds], 0.06, 0.0208, 0.1741)
    uar = Difference(0.5, 0.51, -0.01, -0.2, 0.18, 0.6, 1.0, [-0.03, 0.01][:seeds], 0.1, 0.0283)
    metrics = {"uf1": uf1, "uar": uar}
    where = (dataset, "full", "megc3", "loso", "last")
    return Pair(
        "ststnet", second, *where, False, False, 145, 24, "ab12", list(range(seeds)), ["1", "2", "3", "4"], metrics
    )


@pytest.fixture
def comparison() -> Comparison:
    where = "casme2 · megc3 · loso · last"
    left_out = [LeftOut("htnet", where, [seed], "3/24 folds are done: no score") for seed in (0, 1, 2)]
    left_out += [LeftOut("mmnet", where, [1], "3/24 folds are done: no score")]
    return Comparison([pair(), pair("a|b"), pair(dataset="samm")], left_out, ["Take care."])


def test_the_terminal_shows_a_table_for_each_benchmark_and_metric(comparison: Comparison) -> None:
    text = render(comparison, "table", 160)
    lines = text.splitlines()
    assert "casme2 · task megc3 · protocol loso · selection last · full" in lines
    assert lines.count("145 samples of 24 subjects") == lines.count("UF1:") == lines.count("UAR:") == 2
    squeezed = [" ".join(line.split()) for line in lines]
    scores = "ststnet majority 0,1 .7353 .2000 +.5353 [+.410, +.660] .0002 .0004 yes .0600 .0208 .1741"
    assert scores in squeezed
    assert "ststnet majority 0,1 .5000 .5100 -.0100 [-.200, +.180] .6000 1.0000 no .1000 .0283 –" in squeezed
    assert f"{LEFT_OUT}." in lines
    assert lines[-1] == "Note: Take care."


def test_a_narrow_terminal_folds_names_and_no_numbers() -> None:
    long = "ststnet[augment=flip,balance=true,epochs=30,lr=0.001]"
    both = Comparison([dataclasses.replace(pair(long), first=f"{long} again"), pair(long)], [], [])
    lines = render(both, "table", 120).splitlines()
    assert max(map(len, lines)) <= 120
    assert any("+.5353  [+.410, +.660]  .0002" in line for line in lines)
    assert max(map(len, render(both, "table", 220).splitlines())) > 190
    assert sum(long in line for line in render(both, "table", 220).splitlines()) == 4


def test_markdown_holds_the_same(comparison: Comparison) -> None:
    text = render(comparison, "md")
    assert "| ststnet | a\\|b | 0,1 | .7353 | .2000 | +.5353 | [+.410, +.660] | .0002 | .0004 | yes |" in text
    assert text.count("### ") == 2
    assert text.count("score (UAR)") == 2
    assert LEFT_OUT in text


def test_latex_has_a_table_for_each_benchmark(comparison: Comparison) -> None:
    text = render(comparison, "latex")
    lines = text.splitlines()
    row = r"ststnet & a\textbar{}b & \textbf{+.5353} & [+.410, +.660] & .0004 & $-$.0100 & [$-$.200, +.180] & 1.0000 \\"
    assert row in lines
    # Every row has the columns that the table declares.
    assert lines.count(r"\begin{tabular}{llrlrrlr}") == lines.count(r"\end{tabular}") == 2
    assert all(line.count("&") == 7 for line in lines if line.startswith(("ststnet", "model")))
    assert r"casme2 \textperiodcentered{} task megc3" in text
    assert "145 samples of 24 subjects, 2 seeds." in text
    assert "corrected for 2 pairs" in text
    assert text.count("{") == text.count("}")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs a LaTeX engine, pdflatex with booktabs")
@pytest.mark.parametrize(
    ("name", "dataset"),
    [
        (r"a_b & 5 % of $1 #2 ~^ {x\y} · é", "synth_casme2"),
        ("htnet[as_published=True,dim=256,epochs=30,input=unit]", "+".join(f"casme{n}_macro" for n in range(12))),
    ],
)
def test_latex_compiles_and_fits_the_page(tmp_path: Path, name: str, dataset: str) -> None:
    odd = Comparison([pair(name, dataset), dataclasses.replace(pair(name, dataset), first=name)], [], [])
    head = r"\documentclass[a4paper]{article}\usepackage[margin=25mm]{geometry}\usepackage[T1]{fontenc}"
    head += r"\usepackage{booktabs}\begin{document}"
    file = tmp_path / "comparison.tex"
    file.write_text("\n".join([head, render(odd, "latex"), r"\end{document}"]), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", file.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="latin-1", timeout=120)
    assert done.returncode == 0, done.stdout
    assert "Overfull" not in done.stdout


def test_latex_of_one_pair_and_a_single_subject() -> None:
    alone = pair(seeds=1)
    uf1 = dataclasses.replace(alone.metrics["uf1"], low=None, high=None)
    text = render(Comparison([dataclasses.replace(alone, metrics={**alone.metrics, "uf1": uf1})], [], []), "latex")
    assert r"\textbf{+.5353} & -- & .0004 & $-$.0100" in text
    assert "1 seed." in text
    assert "corrected for 1 pair by" in text


def test_csv_has_a_line_for_each_pair_and_metric(comparison: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(render(comparison, "csv"))))
    assert [(row["second"], row["dataset"], row["metric"]) for row in rows[:3]] == [
        ("majority", "casme2", "uf1"),
        ("majority", "casme2", "uar"),
        ("a|b", "casme2", "uf1"),
    ]
    assert len(rows) == 6
    assert (rows[0]["first_score"], rows[0]["p_holm"], rows[0]["per_seed"]) == ("0.7353", "0.0004", "[0.55, 0.5206]")


def test_json_holds_all(comparison: Comparison) -> None:
    found = json.loads(render(comparison, "json"))
    assert found["schema_version"] == 1
    assert found["pairs"][0]["metrics"]["uf1"]["difference"] == 0.5353
    assert [one["seeds"] for one in found["left_out"]] == [[0], [1], [2], [1]]
    assert found["notes"] == ["Take care."]


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_to_compare(format: str) -> None:
    text = render(Comparison([], [LeftOut("a", "b", [0], "no other model of the same samples")], []), format)
    assert format in ("csv", "latex") or "no other model of the same samples" in text
    assert format == "json" or "ststnet" not in text


def test_an_unknown_format_names_near_ones(comparison: Comparison) -> None:
    with pytest.raises(UsageError, match=r"Unknown format 'jsn'\. Did you mean: json"):
        render(comparison, "jsn")


def test_a_difference_of_nothing_has_no_minus() -> None:
    assert [signed(value) for value in (-1e-9, 0.0, -0.5, 1.0, 0.2005)] == [
        "+.0000",
        "+.0000",
        "-.5000",
        "+1.0000",
        "+.2005",
    ]
    assert signed(0.20049, 3) == "+.200"
