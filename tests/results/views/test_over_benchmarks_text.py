"""Ranks over benchmarks in print and as a picture: every model with its rank, its groups, and the warnings."""

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
from results.scores.gathered import LeftOut
from results.scores.over_benchmarks import MeanRank, OverBenchmarks
from results.views.over_benchmarks_text import FORMATS, render
from results.views.rank_picture import check_ending, rank_diagram


@pytest.fixture
def ranked() -> OverBenchmarks:
    models = [
        MeanRank("ststnet", 1.25, 0.61, [1], [1.0, 1.5], [0.7, 0.52]),
        MeanRank("a_b|c[lr=0.1]", 1.75, 0.55, [1, 2], [2.0, 1.5], [0.58, 0.52]),
        MeanRank("majority", 3.0, 0.24, [2], [3.0, 3.0], [0.24, 0.24]),
    ]
    apart = {"ststnet": {"a_b|c[lr=0.1]": 0.8, "majority": 0.03}, "a_b|c[lr=0.1]": {"ststnet": 0.8, "majority": 0.2}}
    apart["majority"] = {one: others["majority"] for one, others in apart.items()}
    titles = ["casme2 · megc3 · loso · last · full", "samm · megc3 · loso · last · full"]
    left_out = [LeftOut("htnet", titles[0], [0], "no score on 1 of the 2 benchmarks")]
    notes = ["2 benchmarks: of fewer than 5, mean ranks say little, whatever p is."]
    return OverBenchmarks(titles, [24, 28], models, 6.5, 0.04, 2.34, apart, left_out, notes)


@pytest.mark.parametrize("format", ["table", "md", "latex"])
def test_every_model_stands_with_rank_and_groups(ranked: OverBenchmarks, format: str) -> None:
    text = render(ranked, format, 120)
    lines = [line.replace("|", " ").replace("&", " ").split() for line in text.splitlines()]
    assert ["1.25", "ststnet", "1", ".6100", "1", "1.5"] in [cells[:6] for cells in lines]
    assert ["3.00", "majority", "2", ".2400", "3", "3"] in [cells[:6] for cells in lines]
    assert "p 0.04" in text
    assert "2.34" in text
    assert "(24 people)" in text


@pytest.mark.parametrize("format", ["table", "md"])
def test_what_is_left_out_and_the_warning_stand_below(ranked: OverBenchmarks, format: str) -> None:
    text = " ".join(render(ranked, format, 120).split())
    assert "htnet (seed 0): no score on 1 of the 2 benchmarks." in text
    assert "Note: 2 benchmarks: of fewer than 5" in text


def test_csv_has_a_line_for_each_model_and_benchmark(ranked: OverBenchmarks) -> None:
    rows = list(csv.DictReader(io.StringIO(render(ranked, "csv"))))
    assert len(rows) == 6
    assert (rows[2]["model"], rows[2]["groups"], rows[2]["rank"], rows[3]["uf1"]) == (
        "a_b|c[lr=0.1]",
        "[1, 2]",
        "2.0",
        "0.52",
    )


def test_json_holds_all(ranked: OverBenchmarks) -> None:
    assert json.loads(render(ranked, "json")) == json.loads(json.dumps(ranked.to_json()))


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_to_rank(ranked: OverBenchmarks, format: str) -> None:
    nothing = dataclasses.replace(ranked, models=[], p=None, statistic=None, notes=["No benchmark."])
    assert format in ("csv", "latex") or "No benchmark." in render(nothing, format, 100)
    with pytest.raises(UsageError, match=r"no diagram to draw: No benchmark\."):
        rank_diagram(nothing, ".png")


@pytest.mark.slow
def test_the_diagram_names_every_model(ranked: OverBenchmarks) -> None:
    assert rank_diagram(ranked, ".png").startswith(b"\x89PNG")
    picture = rank_diagram(ranked, ".svg").decode()
    assert all(f"<!-- {one.model} " in picture or f"{one.model}" in picture for one in ranked.models)
    # Two bars: each joins two of the three.
    alike = dataclasses.replace(ranked, p=0.5)
    assert rank_diagram(alike, ".svg").decode() != picture


def test_a_picture_has_one_of_two_endings() -> None:
    assert check_ending("a/b.SVG") == ".svg"
    with pytest.raises(UsageError, match=r"--diagram a\.pdf: expected a file that ends in \.png or \.svg"):
        check_ending("a.pdf")


def test_an_unknown_format_names_near_ones(ranked: OverBenchmarks) -> None:
    with pytest.raises(UsageError, match=r"Unknown format 'tabel'\. Did you mean: table"):
        render(ranked, "tabel")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs a LaTeX engine, pdflatex with booktabs")
def test_latex_compiles_and_fits_the_page(ranked: OverBenchmarks, tmp_path: Path) -> None:
    long = (
        "htnet[as_published=True,dim=256,epochs=30,input=unit,optimizer=adamw,lr_schedule=cosine,weight_decay=0.0005]"
    )
    ranked = dataclasses.replace(ranked, models=[dataclasses.replace(ranked.models[0], model=long), *ranked.models[1:]])
    head = r"\documentclass[a4paper]{article}\usepackage[margin=25mm]{geometry}\usepackage[T1]{fontenc}"
    head += r"\usepackage{booktabs}\begin{document}"
    (tmp_path / "ranks.tex").write_text("\n".join([head, render(ranked, "latex"), r"\end{document}"]), "utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "ranks.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="latin-1", timeout=120)
    assert done.returncode == 0, done.stdout
    assert "Overfull" not in done.stdout
