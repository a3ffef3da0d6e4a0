"""The image: one step, the script's; nothing runs as root; Python is where clusters look for it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from cluster.for_launcher import IMAGE_ENVIRONMENT
from cluster.kube_parts import USER_ID

FOLDER = Path(__file__).resolve().parents[2] / "cluster"
DOCKERFILE = re.sub(r"^ *#.*\n", "", (FOLDER / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
SCRIPT = FOLDER / "install_image.sh"


def instructions(name: str) -> list[str]:
    """Return what follows each instruction of a kind, in one line each."""
    return re.findall(rf"^{name} (.*)$", DOCKERFILE, re.MULTILINE)


def test_the_script_is_the_only_step() -> None:
    (step,) = instructions("RUN")
    assert f" bash /source/cluster/install_image.sh {IMAGE_ENVIRONMENT} " in step
    assert not instructions("COPY")
    assert not instructions("ADD")


def test_nothing_runs_as_root_and_python_is_found() -> None:
    assert instructions("USER") == [f"{USER_ID}:{USER_ID}"]
    assert f"useradd --uid {USER_ID} " in SCRIPT.read_text()
    (environment,) = instructions("ENV")
    assert f"PATH={IMAGE_ENVIRONMENT}/bin:$PATH" in environment
    # `ray up` takes the home from here; without it, the token would be looked for in /root.
    assert "HOME=/home/ray" in environment


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    done = subprocess.run(["bash", str(SCRIPT), str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]
