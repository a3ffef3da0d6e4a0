"""Where files that all nodes share lie: a local folder, or any address that pyarrow.fs understands (s3://, gs://, hdfs://)."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from preprocess.base.errors import StoreError
from preprocess.base.files import write_atomic
from preprocess.base.scoped import environment

if TYPE_CHECKING:
    from pyarrow import fs


class Storage(Protocol):
    """Whole files by name. A name is relative to the root and has ``/`` between folders.

    A reader sees a file whole or not at all. Every OSError becomes a StoreError with the file's address. Only ``read``
    raises FileNotFoundError: the caller knows what a missing file means.

    Attributes
    ----------
    root : absolute path, or the address as given. An address may hold a password; ``where`` masks it.
    remote : True where each call is a request over a network.
    """

    root: str
    remote: bool

    def where(self, name: str = "") -> str:
        """Return a file's full address, or the root's, for messages."""

    def read(self, name: str) -> bytes:
        """Return the file's bytes."""

    def write(self, name: str, content: bytes, lasting: bool = False) -> None:
        """Make or replace the file, in one step. lasting : return when it would outlive a power cut."""

    def delete(self, name: str) -> None:
        """Remove the file, if it is there."""

    def delete_folder(self, folder: str) -> None:
        """Remove a folder with all that is in it, if it is there."""

    def names(self, folder: str) -> list[str]:
        """Return the names of what lies directly in a folder; empty where there is no such folder."""

    def tree(self, folder: str) -> dict[str, list[str]]:
        """Return each folder in and below a folder -> the names of the files that lie directly in it."""

    def find(self, folder: str, base_name: str) -> list[str]:
        """Return the names of all files called ``base_name`` below a folder, sorted."""


def open_storage(root: str | Path) -> Storage:
    """Open a local path or an address.

    Raises
    ------
    StoreError : the address is not understood.
    """
    folder = local_folder(root)
    return ObjectStorage(str(root)) if folder is None else LocalStorage(folder)


def below(root: str | Path, name: str) -> str:
    """Return the path or address of a folder that lies in another one; options after ``?`` stay at the end."""
    folder = local_folder(root)
    if folder is not None:
        return str(folder / name)
    address, mark, options = str(root).partition("?")
    return f"{address.rstrip('/')}/{name}{mark}{options}"


def local_folder(root: str | Path) -> Path | None:
    """Return the absolute folder that a path or a ``file://`` address names; None for an address of another kind.

    Raises
    ------
    StoreError : a ``file://`` address that names no folder of this machine.
    """
    text = str(root)
    # Two letters at least before the colon: C:/runs is a path.
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text):
        return Path(os.path.expanduser(text)).absolute()
    address = urlsplit(text)
    if address.scheme != "file":
        return None
    if address.netloc not in ("", "localhost"):
        raise StoreError(f"Cannot open {text!r}: a file:// address has three slashes, as in file:///home/me/runs.")
    if address.query or address.fragment:
        raise StoreError(
            f"Cannot open {text!r}: in a file:// address the path ends at ? and #. Write them %3F and %23, or give the "
            "plain path."
        )
    return Path(unquote(address.path))


def shown_address(root: str) -> str:
    """Return a path or an address as people may see it: ``***`` in the place of a name and its password.

    A password that holds ``/`` or ``@``, which nothing opens, is no less a secret. A number before ``/`` is a port.
    """
    return re.sub(r"//[^/?@]*:(?!\d+/)[^?]*@", "//***@", root)


class LocalStorage:
    """Files below a local folder, which may be a mounted one of another machine."""

    remote = False

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self.root = str(self._root)

    def where(self, name: str = "") -> str:
        """Return a file's full path, or the root's."""
        return str(self._root / name)

    def read(self, name: str) -> bytes:
        """Return the file's bytes."""
        with _reaching("read", self.where(name)):
            return (self._root / name).read_bytes()

    def write(self, name: str, content: bytes, lasting: bool = False) -> None:
        """Make or replace the file, in one step. lasting : return when it would outlive a power cut."""
        with _reaching("write", self.where(name), missing_is_error=True):
            write_atomic(self._root / name, content, lasting)

    def delete(self, name: str) -> None:
        """Remove the file, if it is there."""
        with _reaching("remove", self.where(name)):
            (self._root / name).unlink(missing_ok=True)

    def delete_folder(self, folder: str) -> None:
        """Remove a folder with all that is in it, if it is there."""
        with contextlib.suppress(FileNotFoundError), _reaching("remove", self.where(folder)):
            shutil.rmtree(self._root / folder)

    def names(self, folder: str) -> list[str]:
        """Return the names of what lies directly in a folder; none where there is no such folder."""
        try:
            with _reaching("list", self.where(folder)):
                return os.listdir(self._root / folder)
        except FileNotFoundError:
            return []

    def tree(self, folder: str) -> dict[str, list[str]]:
        """Return each folder in and below a folder -> the names of the files that lie directly in it."""
        with _reaching("list", self.where(folder)):
            walk = os.walk(self._root / folder, onerror=_unless_missing)
            return {Path(place).relative_to(self._root).as_posix(): files for place, _, files in walk}

    def find(self, folder: str, base_name: str) -> list[str]:
        """Return the names of all files called ``base_name`` below a folder, sorted."""
        return _found(self.tree(folder), base_name)


class ObjectStorage:
    """Objects below an address. Each file is one object and is put there whole."""

    remote = True

    def __init__(self, root: str) -> None:
        self.root = root
        self._files, self._base = _filesystem(root)

    def where(self, name: str = "") -> str:
        """Return a file's full address, or the root's, without a password."""
        address, mark, options = shown_address(self.root).partition("?")
        return f"{address.rstrip('/')}/{name}".rstrip("/") + mark + options

    def read(self, name: str) -> bytes:
        """Return the file's bytes."""
        with _reaching("read", self.where(name)), self._files.open_input_file(self._path(name)) as stream:
            return stream.read()

    def write(self, name: str, content: bytes, lasting: bool = False) -> None:
        """Make or replace the file, in one step. An object that was put lasts anyway."""
        with (
            _reaching("write", self.where(name), missing_is_error=True),
            self._files.open_output_stream(self._path(name)) as stream,
        ):
            stream.write(content)

    def delete(self, name: str) -> None:
        """Remove the file, if it is there."""
        with _reaching("remove", self.where(name)):
            try:
                self._files.delete_file(self._path(name))
            except FileNotFoundError:
                return

    def delete_folder(self, folder: str) -> None:
        """Remove a folder with all that is in it, if it is there."""
        with _reaching("remove", self.where(folder)), contextlib.suppress(FileNotFoundError):
            self._files.delete_dir(self._path(folder))

    def names(self, folder: str) -> list[str]:
        """Return the names of what lies directly in a folder; none where there is no such folder."""
        return [info.base_name for info in self._list(folder, recursive=False)]

    def tree(self, folder: str) -> dict[str, list[str]]:
        """Return each folder in and below a folder -> the names of the files that lie directly in it."""
        found: dict[str, list[str]] = {}
        for info in self._list(folder, recursive=True):
            if info.is_file:
                found.setdefault(info.path[len(self._base) + 1 :].rpartition("/")[0], []).append(info.base_name)
        return found

    def find(self, folder: str, base_name: str) -> list[str]:
        """Return the names of all files called ``base_name`` below a folder, sorted."""
        return _found(self.tree(folder), base_name)

    def _list(self, folder: str, recursive: bool) -> list[fs.FileInfo]:
        from pyarrow import fs

        selector = fs.FileSelector(self._path(folder), recursive=recursive, allow_not_found=True)
        with _reaching("list", self.where(folder)):
            return self._files.get_file_info(selector)

    def _path(self, name: str) -> str:
        return f"{self._base}/{name}" if name else self._base


def _found(tree: Mapping[str, list[str]], base_name: str) -> list[str]:
    return sorted(f"{place}/{base_name}" for place, files in tree.items() if base_name in files)


def _filesystem(root: str) -> tuple[fs.FileSystem, str]:
    import pyarrow
    from pyarrow import fs

    opened = _put_at_once(root)
    try:
        with environment(_PLAIN_BODIES if _is_of_another_server(root) else {}, keep=True):
            files, base = fs.FileSystem.from_uri(opened)
        if not base.strip("/"):
            raise ValueError("it names no bucket or folder")
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = str(error).replace(opened, shown_address(root))
        raise StoreError(
            f"Cannot open the address {shown_address(root)}: {reason}. "
            "Give a folder, or an address such as s3://bucket/folder that pyarrow.fs understands."
        ) from error
    return files, base.rstrip("/")


def _put_at_once(root: str) -> str:
    """Return an address at which a small file takes one request: without this option, S3 takes three of it."""
    if not root.startswith("s3://") or "allow_delayed_open=" in root:
        return root
    return f"{root}{'&' if '?' in root else '?'}allow_delayed_open=true"


# Since 2025, what is put in S3 ends in a checksum, which servers other than Amazon's may store as part of the file.
_PLAIN_BODIES = {"AWS_REQUEST_CHECKSUM_CALCULATION": "WHEN_REQUIRED"}
_OTHER_SERVERS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


def _is_of_another_server(root: str) -> bool:
    return "endpoint_override=" in root or any(os.environ.get(name) for name in _OTHER_SERVERS)


def _unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


_REMEDIES = {
    errno.ENOSPC: "Free some space, then run the same command again: what is finished is kept.",
    errno.EDQUOT: "Free some of your quota, then run the same command again: what is finished is kept.",
    errno.EFBIG: "Raise the limit on file sizes, then run the same command again: what is finished is kept.",
    errno.EACCES: "Give yourself the permission, or name another folder with --results.",
    errno.EPERM: "Give yourself the permission, or name another folder with --results.",
    errno.ENOTDIR: "A file stands where a folder is wanted: name another folder with --results.",
    errno.EEXIST: "A file stands where a folder is wanted: name another folder with --results.",
    errno.EROFS: "It is read-only: name another folder with --results.",
}


@contextmanager
def _reaching(action: str, where: str, missing_is_error: bool = False) -> Iterator[None]:
    """Turn an operating-system error of the block into a StoreError that names the file and what to do."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not missing_is_error:
            raise
        remedy = _REMEDIES.get(error.errno or 0, "Check that the address is right and can be reached.")
        raise StoreError(f"Cannot {action} {where}: {error.strerror or error}. {remedy}") from error
