"""The face of a clip and the way of its head, for whoever may come before the step ``face``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from preprocess.faces.following import head_path

if TYPE_CHECKING:
    from preprocess.faces.face import Face
    from preprocess.faces.head_way import HeadPath
    from preprocess.steps import Work


def face_and_path(work: Work) -> tuple[Face, HeadPath | None]:
    """Return the face and the way of a head that goes too far for one transform, as the step ``face`` found them.

    Without that step before they are found now. Where it took the whole picture as the face, no head is followed.
    """
    if work.face is not None:
        return work.face, work.path
    face = work.finder.find(work.clip)
    return face, head_path(work.clip, face, work.finder) if work.transform is None else None
