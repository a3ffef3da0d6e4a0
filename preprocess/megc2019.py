"""The clips of the MEGC 2019 composite: 145 of CASME II, 133 of SAMM, 164 of SMIC-HS (See et al., FG 2019).

The organisers gave the clips as a list; no rule over the sheets' emotions gives it. ``datasets/megc2019_clips.csv``
holds names only: what a clip shows is told by the annotation of the database, which its owners license.
"""

from __future__ import annotations

import functools
from importlib.resources import files


@functools.cache
def megc2019_clips() -> frozenset[str]:
    """Return the sample ids of the 442 clips, such as ``casme2/sub01/EP02_01f`` and ``smic/s01/s01_ne_01``."""
    text = files("preprocess.datasets").joinpath("megc2019_clips.csv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return frozenset(lines[1:])
