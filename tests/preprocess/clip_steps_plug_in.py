"""Steps for tests, installed as a package would be, so that Ray's workers know them as well.

The folder MERBENCH_TEST_NOTES gets a file for every call, and its files can order what happens to a clip:
``kill-once-<clip>`` and ``kill-<clip>`` end the process, ``bug-<clip>`` raises, ``nan-<clip>`` spoils the tensor.
"""

from __future__ import annotations

import os
import signal
import time
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np

from preprocess.samples.frames import FrameReader
from preprocess.steps import Work, register_step


@register_step("test_mean", version=1)
def mean_of_frames(work: Work, *, add: int = 0) -> Work:
    """Average all frames of the clip: a (H, W) float32 tensor, plus ``add``."""
    name = work.clip.sample_id.rpartition("/")[2]
    folder = Path(os.environ["MERBENCH_TEST_NOTES"])
    (folder / f"call-{time.monotonic_ns()}-{uuid.uuid4().hex}").write_text(f"{work.clip.sample_id} +{add}")
    if (folder / f"kill-once-{name}").exists():
        (folder / f"kill-once-{name}").unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    if (folder / f"kill-{name}").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    if (folder / f"bug-{name}").exists():
        raise ZeroDivisionError("a bug of the step")
    if (folder / f"memory-{name}").exists():
        raise MemoryError("std::bad_alloc")
    if (folder / "slow").exists():
        time.sleep(0.2)
    with FrameReader(work.clip) as reader:
        frames = [reader.read(number) for number in reader.numbers]
    tensor = np.mean(frames, axis=0, dtype=np.float64).astype(np.float32) + np.float32(add)
    if (folder / f"nan-{name}").exists():
        tensor[0, 0] = np.nan
    return replace(work, tensor=tensor, notes=(*work.notes, f"{len(frames)} frames averaged"))
