"""The command ``merbench``. Its name is nobody else's, so that it can say where a room is taken from elsewhere."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOMS = Path(__file__).resolve().parent / "bench" / "rooms.py"


def main() -> None:
    """Run the command line."""
    spec = importlib.util.spec_from_file_location("merbench_rooms", ROOMS)
    assert spec is not None
    assert spec.loader is not None
    rooms = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rooms)
    rooms.start()


if __name__ == "__main__":
    main()
