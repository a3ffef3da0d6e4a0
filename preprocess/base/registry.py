"""Named things that files and other packages can add: datasets, tasks, models, protocols, metrics, columns."""

from __future__ import annotations

import fnmatch
import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from preprocess.base.code import ROOMS, code_fingerprint
from preprocess.base.errors import UsageError, did_you_mean

T = TypeVar("T")


@dataclass(frozen=True)
class Registration:
    """One thing that a module registered.

    Attributes
    ----------
    kind : what it is, in the singular ("model").
    name : the name that it is registered under.
    module : the module whose top-level code registered it.
    again : registers it once more, where it was removed meanwhile.
    undo : removes it.
    """

    kind: str
    name: str
    module: str
    again: Callable[[], Any]
    undo: Callable[[], Any]


_noted: list[Registration] | None = None


@contextmanager
def noting() -> Iterator[list[Registration]]:
    """Yield a list that gets everything which is registered within the block, built-in things as well."""
    global _noted
    before, _noted = _noted, []
    try:
        yield _noted
    finally:
        _noted = before


def note(kind: str, name: str, again: Callable[[], Any], undo: Callable[[], Any]) -> None:
    """Add a registration to the list of the ``noting`` block, where there is one."""
    if _noted is not None:
        _noted.append(Registration(kind, name, _registrant().module, again, undo))


@dataclass(frozen=True)
class _Registrant:
    """Whose code registers something.

    Attributes
    ----------
    module : the name of its module.
    file : where it stands; a name such as ``<stdin>`` where it stands in no file.
    """

    module: str
    file: str

    @property
    def built_in(self) -> bool:
        return self.module.partition(".")[0] in ROOMS


def _registrant() -> _Registrant:
    """Return who registers: the module of this project that is imported, or code from outside that called it."""
    frame = sys._getframe(1)
    while True:
        registrant = _Registrant(str(frame.f_globals.get("__name__", "?")), frame.f_code.co_filename)
        if frame.f_code.co_name == "<module>" or not registrant.built_in or frame.f_back is None:
            return registrant
        frame = frame.f_back


class Registry(Generic[T]):
    """A mapping from name to entry that is filled on first use.

    Other packages add entries through the entry-point group ``merbench.<kind>s``: each entry point names a module,
    which registers when it is imported. Single files do so through ``preprocess.base.plugins``.

    Parameters
    ----------
    kind : what an entry is, in the singular ("model"); used in messages.
    package : a package whose modules register their entries when they are imported; None where the caller imports them.
    """

    def __init__(self, kind: str, package: str | None = None) -> None:
        self.kind = kind
        self._package = package
        self._entries: dict[str, T] = {}
        self._origins: dict[str, str] = {}
        self._registrants: dict[str, _Registrant] = {}
        self._loaded = False
        self._loading = False

    def add(self, name: str, entry: T, origin: str) -> T:
        """Register an entry.

        Parameters
        ----------
        name : the name to find it by.
        entry : what is registered.
        origin : where its code stands; registering again from the same place replaces the entry.

        Returns
        -------
        The entry.

        Raises
        ------
        UsageError : the name is taken; the message has both origins.
        """
        registrant = _registrant()
        if _noted is not None and not self._loading and not registrant.built_in:
            # So that a plug-in which takes a built-in name is told so at once.
            self._load()
        known = self._origins.get(name)
        if known is not None and known != origin:
            raise UsageError(
                f"Two {self.kind}s are called {name!r}: one from {known}, one from {origin}. Rename one of them."
            )
        self._entries[name] = entry
        self._origins[name] = origin
        self._registrants[name] = registrant
        note(
            self.kind, name, lambda: self._put_back(name, entry, origin, registrant), lambda: self._remove(name, entry)
        )
        return entry

    def code(self, name: str) -> str | None:
        """Return the fingerprint of the code behind an entry that comes from outside of this project.

        Returns
        -------
        sha256 (64 hex digits) of the file that registered it and of all that this one imports; None for an entry of
        this project, whose code counts otherwise.

        Raises
        ------
        UsageError : there is no such entry, or it was registered by code that stands in no file.
        """
        self.get(name)
        registrant = self._registrants[name]
        if registrant.built_in:
            return None
        try:
            return code_fingerprint(registrant.file)
        except OSError as error:
            raise UsageError(
                f"The {self.kind} {name!r} was registered by code that cannot be read ({registrant.file}), so that it "
                "could not be told apart from other code of this name. Put it into a file and give that with --plugins."
            ) from error

    def _put_back(self, name: str, entry: T, origin: str, registrant: _Registrant) -> None:
        self.add(name, entry, origin)
        self._registrants[name] = registrant

    def _remove(self, name: str, entry: T) -> None:
        if self._entries.get(name) is entry:
            del self._entries[name], self._origins[name]

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers a function or class under ``name``."""

        def decorate(entry: T) -> T:
            origin = f"{getattr(entry, '__module__', '?')}.{getattr(entry, '__qualname__', '?')}"
            return self.add(name, entry, origin)

        return decorate

    def get(self, name: str) -> T:
        """Return an entry.

        Raises
        ------
        UsageError : there is none of this name; the message has the near names.
        """
        self._load()
        if name not in self._entries:
            raise UsageError(f"Unknown {self.kind} {name!r}. {did_you_mean(name, self._entries)}")
        return self._entries[name]

    def names(self, pattern: str = "*") -> list[str]:
        """Return the sorted names that match a shell pattern such as ``'rcn_*'``."""
        self._load()
        return sorted(fnmatch.filter(self._entries, pattern))

    def select(self, patterns: list[str]) -> list[str]:
        """Return the names that shell patterns pick, in the patterns' order, none twice.

        Raises
        ------
        UsageError : a pattern picks nothing; the message has the near names.
        """
        chosen: dict[str, None] = {}
        for pattern in patterns:
            found = self.names(pattern)
            if not found:
                raise UsageError(f"Unknown {self.kind} {pattern!r}. {did_you_mean(pattern, self._entries)}")
            chosen.update(dict.fromkeys(found))
        return list(chosen)

    def items(self) -> Iterator[tuple[str, T]]:
        """Yield (name, entry) pairs in name order."""
        for name in self.names():
            yield name, self._entries[name]

    def _load(self) -> None:
        if self._loaded:
            return
        self._loading = True
        try:
            self._import_modules()
            self._loaded = True
        finally:
            self._loading = False

    def _import_modules(self) -> None:
        if self._package is not None:
            package = importlib.import_module(self._package)
            for module in pkgutil.iter_modules(package.__path__, prefix=f"{self._package}."):
                if not module.name.rsplit(".", 1)[-1].startswith("_"):
                    importlib.import_module(module.name)
        for point in entry_points(group=f"merbench.{self.kind}s"):
            try:
                point.load()
            except Exception as error:
                raise UsageError(
                    f"The {self.kind} plug-in {point.name!r} ({point.value}) cannot be imported: "
                    f"{type(error).__name__}: {error}. Repair or uninstall the package that brings it."
                ) from error
