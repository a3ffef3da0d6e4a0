"""Drawing with matplotlib in one look, whatever its user's own settings say."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from preprocess.base.scoped import muted

# What it holds for the whole process is changed.
_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def default_look() -> Iterator[None]:
    """Draw inside the block, or the decorated function, as matplotlib does by default.

    Its user may have a file of settings: text set by LaTeX, for example, which takes seconds a picture, or ends with a
    traceback where there is none. Nor does it say that such a file is broken, or that it may not write to the home
    folder.
    """
    with _ONE_AT_A_TIME, muted("matplotlib"):
        import matplotlib

        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            yield
