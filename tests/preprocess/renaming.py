"""Names and folders as disks hold them: everything in other letters, junk everywhere, folders that lie elsewhere."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path


def mixed(name: str) -> str:
    """Return a name in capitals or in small letters, whichever its letters decide."""
    return name.upper() if zlib.crc32(name.encode()) % 2 else name.lower()


def rename_all(root: Path, change: Callable[[str], str]) -> None:
    """Rename every file and folder below a folder."""
    for path in sorted(root.rglob("*"), key=lambda path: len(path.parts), reverse=True):
        path.rename(path.with_name(change(path.name)))


def spread_junk(root: Path) -> None:
    """Put what computers leave behind into every folder below one, and into the folder itself."""
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    for folder in folders:
        inside = [path for path in folder.iterdir() if path.is_file()]
        for file in inside[:3]:
            (folder / f"._{file.name}").write_bytes(b"\x00\x05\x16\x07")
        for sheet in [file for file in inside if file.suffix in (".xlsx", ".csv")]:
            (folder / f"~${sheet.name}").write_bytes(b"somebody")
            (folder / f".~lock.{sheet.name}#").write_bytes(b"somebody")
        for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
            (folder / name).write_bytes(b"\x00")
    # As unpacking an archive on a Mac leaves it: the whole tree again, of other files.
    for folder in folders:
        twin = root / "__MACOSX" / folder.relative_to(root)
        twin.mkdir(parents=True, exist_ok=True)
        for file in [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")][:2]:
            (twin / f"._{file.name}").write_bytes(b"\x00\x05\x16\x07")
        if folder != root:
            (folder / "__MACOSX").mkdir()
            (folder / "__MACOSX" / "._x.jpg").write_bytes(b"\x00")
