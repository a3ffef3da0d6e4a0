"""Locks of files, which not every file system has: shared disks (Lustre, NFS) are often set up without."""

from __future__ import annotations

import errno
import fcntl
from typing import IO

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


def lock(file: IO[bytes] | IO[str] | int, operation: int = fcntl.LOCK_EX) -> bool:
    """Lock an open file; the system drops the lock when the file is closed, however the process ends.

    Parameters
    ----------
    file : or its descriptor.
    operation : of ``fcntl.flock``.

    Returns
    -------
    Whether it is locked; False where its file system has no locks.

    Raises
    ------
    BlockingIOError : somebody else holds it, and ``operation`` says not to wait.
    """
    try:
        fcntl.flock(file, operation)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True
