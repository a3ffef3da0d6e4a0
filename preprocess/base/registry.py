"""Named things that files and other packages can add: datasets, tasks, models, protocols, metrics, columns."""

from __future__ import annotations

import fnmatch
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from preprocess.base.errors import UsageError, did_you_mean

T = TypeVar("T")


class Registry(Generic[T]):
    """A mapping from name to entry that is filled on first use.

    kind : what an entry is, in the singular ("model"); used in messages.
    package : a package whose modules register their entries when imported, or None where the caller imports them.
    Other packages add entries through the entry-point group ``merbench.<kind>s``: each entry point names a module,
    which registers on import.
    """

    def __init__(self, kind: str, package: str | None = None) -> None:
        self.kind = kind
        self._package = package
        self._entries: dict[str, T] = {}
        self._origins: dict[str, str] = {}
        self._loaded = False

    def add(self, name: str, entry: T, origin: str) -> T:
        """Register ``entry`` under ``name``; UsageError names both origins when the name is taken."""
        known = self._origins.get(name)
        if known is not None and known != origin:
            raise UsageError(
                f"Two {self.kind}s are called {name!r}: one from {known}, one from {origin}. Rename one of them."
            )
        self._entries[name] = entry
        self._origins[name] = origin
        return entry

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers a function or class under ``name``."""

        def decorate(entry: T) -> T:
            origin = f"{getattr(entry, '__module__', '?')}.{getattr(entry, '__qualname__', '?')}"
            return self.add(name, entry, origin)

        return decorate

    def get(self, name: str) -> T:
        """Return the entry called ``name``; UsageError names near matches when there is none."""
        self._load()
        if name not in self._entries:
            raise UsageError(f"Unknown {self.kind} {name!r}. {did_you_mean(name, self._entries)}")
        return self._entries[name]

    def names(self, pattern: str = "*") -> list[str]:
        """Return the sorted names that match a shell pattern such as ``'rcn_*'``."""
        self._load()
        return sorted(fnmatch.filter(self._entries, pattern))

    def select(self, patterns: list[str]) -> list[str]:
        """Return the names that the patterns pick, in the patterns' order, none twice.

        Raises UsageError for a pattern that picks nothing.
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
        self._loaded = True
