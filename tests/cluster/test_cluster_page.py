"""Every command of cluster/README.md that this program, Ray or bash can be asked about."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from accepted import accepted, arrives

from bench.workers.dashboard import GAUGES, TAG
from cluster import manifests
from cluster.mlflow_server import TrackingServer

FOLDER = Path(__file__).resolve().parents[2] / "cluster"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")


def commands(start: str) -> list[str]:
    """Return the commands of the page's blocks that begin so, without what comes after ``#``."""
    blocks = "\n".join(re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)).replace("\\\n", " ")
    lines = [" ".join(shlex.split(line, comments=True)) for line in blocks.splitlines() if line.startswith(start)]
    assert lines, start
    return lines


def test_the_manifests_are_written_as_the_page_has_it(tmp_path: Path) -> None:
    for line in commands("python -m cluster.manifests"):
        words = line.split()[3:]
        cut = words.index("--") if "--" in words else len(words)
        assert manifests.main([*words[:cut], "--out", str(tmp_path), *words[cut:]]) == 0
    written = {file.name for file in tmp_path.iterdir()}
    assert {"base.yaml", "rayjob.yaml", "raycluster.yaml", "local.yaml", "aws.yaml"} <= written
    named = re.findall(
        r"my-cluster/([\w.]+)|cluster/launcher/([\w.]+)", "\n".join(commands("kubectl") + commands("ray"))
    )
    assert {name for pair in named for name in pair if name} <= written


@pytest.mark.slow
def test_jobs_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.dashboard.modules.job.cli import submit

    for line in commands("ray job submit") + commands("RAY_AUTH_MODE=token ray job submit"):
        before, _, job = line.partition(" -- ")
        words = before.removeprefix("RAY_AUTH_MODE=token ").split()[3:]
        assert submit.make_context("submit", [*words, "--", "true"]).params["working_dir"] == "."
        config = accepted(arrives(job), monkeypatch)
        assert config.results.startswith(("/", "s3://"))


def test_the_metrics_are_those_of_a_run() -> None:
    rows = re.findall(r"^\| `ray_(\w+)` \| (.*) \|$", PAGE, re.MULTILINE)
    assert dict(rows) == GAUGES
    assert f"with the tag `{TAG}`" in PAGE


def test_the_slurm_job_takes_what_follows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for line in commands("sbatch"):
        *_, options = line.partition(" cluster/slurm.sbatch ")
        assert accepted(["merbench", "run", *options.split()], monkeypatch).results == "/shared/runs"


def test_the_mlflow_server_is_called_by_the_name_that_nginx_passes_on() -> None:
    (line,) = commands("python -m cluster.mlflow_server")
    name = line.split()[-1]
    front = (FOLDER / "mlflow_front.conf").read_text(encoding="utf-8")
    assert f"server_name {name};" in front
    assert f"proxy_pass http://127.0.0.1:{TrackingServer(Path()).port};" in front


def test_its_links_lead_somewhere() -> None:
    anchors = {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in re.findall(r"^## (.*)$", PAGE, re.M)}
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        file, _, anchor = target.partition("#")
        if not file:
            assert anchor in anchors
        elif "://" not in file:
            assert (FOLDER / file).exists(), target
