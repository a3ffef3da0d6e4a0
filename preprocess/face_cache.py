"""Faces that were found, remembered in memory and, where a folder is given, on disk for other processes and runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from preprocess.base.errors import StoreError
from preprocess.base.files import write_atomic
from preprocess.base.hashing import digest
from preprocess.face import Face


class FaceCache:
    """A mapping from a key (JSON values) to a Face, or to the text that says why there is none.

    folder : one small JSON file a clip, written whole or not at all; a file that cannot be read as one counts as
        absent and is written anew. None: in memory only.
    """

    def __init__(self, folder: Path | str | None = None) -> None:
        self.folder = None if folder is None else Path(folder)
        self._known: dict[str, Face | str] = {}

    def get(self, key: list[Any]) -> Face | str | None:
        """Return what is remembered under ``key``, None for nothing."""
        name = digest(key)
        if name not in self._known and self.folder is not None:
            found = _read(self._path(name))
            if found is not None:
                self._known[name] = found
        return self._known.get(name)

    def put(self, key: list[Any], found: Face | str) -> None:
        """Remember ``found`` under ``key``; StoreError where the folder cannot be written."""
        name = digest(key)
        self._known[name] = found
        if self.folder is None:
            return
        path = self._path(name)
        try:
            write_atomic(path, json.dumps(_as_json(found)).encode())
        except OSError as error:
            raise StoreError(f"The face cache {path} cannot be written: {error.strerror}.") from error

    def _path(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / name[:2] / f"{name}.json"


def _as_json(found: Face | str) -> dict[str, Any]:
    if isinstance(found, str):
        return {"no_face": found}
    return {
        "landmarks": found.landmarks.tolist(),
        "box": list(found.box),
        "frame": found.frame,
        "way": found.way,
        "faces": found.faces,
    }


def _read(path: Path) -> Face | str | None:
    import numpy as np

    try:
        content = json.loads(path.read_bytes())
        if "no_face" in content:
            return str(content["no_face"])
        left, top, right, bottom = (int(edge) for edge in content["box"])
        landmarks = np.asarray(content["landmarks"], dtype=np.float32).reshape(68, 2)
        return Face(landmarks, (left, top, right, bottom), int(content["frame"]), str(content["way"]), content["faces"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
