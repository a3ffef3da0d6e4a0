"""Plug-ins that are no packages: files whose code registers models, datasets, steps and so on when it is imported.

The driver imports them from where they lie. Workers get their source, write it into a folder of their own and import
it under the same names, so that a node need not see the driver's files. Only files that the driver found
(``plugin_files``) can be imported beside a plug-in, there as here: what a worker would miss is missing at once.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import importlib
import importlib.util
import os
import shutil
import socket
import sys
import tempfile
import traceback
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any

from preprocess.base.code import top_of
from preprocess.base.errors import MerError, UsageError
from preprocess.base.hashing import digest_bytes
from preprocess.base.locks import lock
from preprocess.base.plugin_files import PluginFiles, find_plugin, top_level
from preprocess.base.registry import Registration, noting

WORKER_FOLDER = "merbench-plugins-"
"""How the folders are called, in the machine's temporary folder, into which workers write plug-ins."""


@dataclass(frozen=True)
class Shipment:
    """The plug-ins of a driver on their way to a worker, in the order in which they are imported."""

    plugins: tuple[PluginFiles, ...] = ()

    @property
    def key(self) -> str:
        """Equal for equal shipments."""
        return digest_bytes(*(part for plugin in self.plugins for part in _parts(plugin)))


@dataclass
class _Module:
    """A top-level module, or package, that a plug-in brought.

    Attributes
    ----------
    file : where it was imported from.
    source : sha256 of its files.
    registrations : what its code registered.
    """

    file: Path
    source: str
    registrations: list[Registration] = field(default_factory=list)

    def same(self, other: _Module) -> bool:
        return (self.file, self.source) == (other.file, other.source)


@dataclass(frozen=True)
class _Loaded:
    """A plug-in that is loaded.

    Attributes
    ----------
    files : its source.
    registrations : what was registered while it was imported.
    """

    files: PluginFiles
    registrations: tuple[Registration, ...]


_modules: dict[str, _Module] = {}
_plugins: dict[tuple[str, ...], _Loaded] = {}
_received = ""


def load_plugins(names: Sequence[str]) -> list[Registration]:
    """Import plug-ins and return what they have registered.

    A plug-in that is loaded already, and has not changed, is not imported again: what it registered is registered once
    more where it was removed. One that has changed, or whose name another file now bears, takes the place of the old.

    Parameters
    ----------
    names : each a Python file, a folder of such files, a package's folder or the name of a module; the same one twice
        counts once.

    Returns
    -------
    What the plug-ins registered, in the order of ``names``.

    Raises
    ------
    UsageError : a plug-in that does not exist, cannot be imported, registers nothing or takes a name that is taken; the
        message has its name, the file and the line.
    """
    found = [find_plugin(name) for name in names]
    _check_told_apart(found)
    registered: dict[int, Registration] = {}
    for plugin in found:
        own = _load(plugin, plugin.home)
        if not own:
            _unload(plugin.tops())
            raise UsageError(
                f"plug-in {plugin.given}: {plugin.home / _main_file(plugin)} registers nothing. Expected a decorator "
                "such as @register_model, or a call such as TASKS.add(...), that runs when the file is imported."
            )
        registered.update({id(one): one for one in own})
    return list(registered.values())


def unload_plugins() -> None:
    """Remove all plug-ins of this process and what they registered; tests and notebooks begin anew with it."""
    global _received
    _unload(list(_modules))
    _received = ""


def shipment() -> Shipment:
    """Return the plug-ins that are loaded, for ``receive`` in a worker."""
    return Shipment(tuple(loaded.files for loaded in _plugins.values()))


def receive(given: Shipment) -> None:
    """Load the driver's plug-ins in this process, a worker; one that has them already does nothing.

    Raises
    ------
    UsageError : a plug-in cannot be imported here, for example because a package that it needs is not installed; the
        message names this node.
    """
    global _received
    if not given.plugins or given.key == _received:
        return
    home = _worker_folder()
    for plugin in given.plugins:
        if not _is_loaded(plugin):
            for name, content in plugin.files.items():
                file = home / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            _load(plugin, home)
    _received = given.key


def _parts(plugin: PluginFiles) -> Iterator[bytes]:
    yield "\n".join(plugin.modules).encode()
    for name, content in sorted(plugin.files.items()):
        yield name.encode()
        yield content


def _main_file(plugin: PluginFiles) -> str:
    path = plugin.modules[0].replace(".", "/")
    return f"{path}.py" if f"{path}.py" in plugin.files else path


def _sources(plugin: PluginFiles) -> dict[str, str]:
    """Return top-level module -> sha256 of its files."""
    chosen: dict[str, list[bytes]] = {}
    for name, content in sorted(plugin.files.items()):
        chosen.setdefault(top_level(name), []).extend((name.encode(), content))
    return {top: digest_bytes(*parts) for top, parts in chosen.items()}


def _file_of(plugin: PluginFiles, home: Path, top: str) -> Path:
    return home / (f"{top}.py" if f"{top}.py" in plugin.files else f"{top}/__init__.py")


def _check_told_apart(plugins: Iterable[PluginFiles]) -> None:
    """Raise UsageError where two plug-ins, or helpers of them, would be imported under one name."""
    files: dict[str, tuple[Path, str]] = {}
    for plugin in plugins:
        for top in plugin.tops():
            file = _file_of(plugin, plugin.home, top)
            known, given = files.setdefault(top, (file, plugin.given))
            if known != file:
                raise UsageError(
                    f"plug-ins {given} and {plugin.given}: {known} and {file} would both be the module {top!r}. Rename "
                    "one of them."
                )


def _is_loaded(plugin: PluginFiles) -> bool:
    known = _plugins.get(plugin.modules)
    return known is not None and known.files.files == plugin.files


def _load(plugin: PluginFiles, home: Path) -> list[Registration]:
    """Import a plug-in whose files lie below ``home`` and return what it registered."""
    sources = {top: _Module(_file_of(plugin, home, top), source) for top, source in _sources(plugin).items()}
    _unload(top for top, module in sources.items() if top in _modules and not _modules[top].same(module))
    new = {top: module for top, module in sources.items() if top not in _modules}
    if new:
        importlib.invalidate_caches()
        for top in new:
            _check_free(plugin, home, top)
        _forget_modules(new)
    _modules.update(new)
    for top in sources:
        for one in _modules[top].registrations:
            one.again()
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    try:
        with noting() as noted:
            for name in plugin.modules:
                importlib.import_module(name)
    except (Exception, SystemExit) as error:
        _keep(plugin, noted)
        _unload(sources)
        raise UsageError(_explain(plugin, home, error)) from error
    return _keep(plugin, noted)


def _keep(plugin: PluginFiles, noted: Sequence[Registration]) -> list[Registration]:
    own = [one for one in noted if top_of(one.module) in plugin.tops()]
    for one in own:
        _modules[top_of(one.module)].registrations.append(one)
    # What another plug-in imports as its helper, and what was loaded before, is not imported again.
    known = _plugins[plugin.modules].registrations if plugin.modules in _plugins else ()
    mine = [one for top in plugin.tops() for one in _modules[top].registrations if one.module in plugin.modules]
    registered = tuple({(one.kind, one.name): one for one in (*known, *mine, *own)}.values())
    _plugins[plugin.modules] = _Loaded(plugin, registered)
    return list(registered)


def _unload(tops: Iterable[str]) -> None:
    """Forget top-level modules, the plug-ins that brought or use them, and what these registered."""
    changed = set(tops) & set(_modules)
    if not changed:
        return
    gone = set(changed)
    for modules in [key for key, loaded in _plugins.items() if changed & set(loaded.files.tops())]:
        gone |= set(_plugins.pop(modules).files.tops()) & set(_modules)
    for top in gone:
        for one in reversed(_modules.pop(top).registrations):
            one.undo()
    _forget_modules(gone)


def _forget_modules(tops: Collection[str]) -> None:
    for name in [name for name in sys.modules if top_of(name) in tops]:
        del sys.modules[name]


def _check_free(plugin: PluginFiles, home: Path, top: str) -> None:
    """Raise UsageError where a module is called like one that Python finds elsewhere; the wrong one would be taken."""
    file = _file_of(plugin, home, top)
    known = sys.modules.get(top)
    origin = getattr(known, "__file__", None) if known else _origin(top)
    if origin and home == plugin.home and Path(origin).resolve() != file:
        raise UsageError(
            f"plug-in {plugin.given}: {file} is called like the module {top!r} of {origin}. Rename the file."
        )


def _origin(top: str) -> str | None:
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    return spec.origin if spec and spec.has_location else None


class _Finder(MetaPathFinder):
    """Finds the top-level modules of plug-ins, and nothing else that lies beside them."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        module = _modules.get(fullname)
        if module is None:
            return None
        package = [str(module.file.parent)] if module.file.name == "__init__.py" else None
        loader = _Loader(fullname, str(module.file))
        return importlib.util.spec_from_file_location(
            fullname, module.file, loader=loader, submodule_search_locations=package
        )


class _Loader(SourceFileLoader):
    """Reads the source itself: a cached translation is taken for the same by the second in which it was written."""

    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


_FINDER = _Finder()


def _explain(plugin: PluginFiles, home: Path, error: BaseException) -> str:
    """Say where in the plug-in's files an import failed, and why."""
    file, line = home / _main_file(plugin), 0
    if isinstance(error, SyntaxError) and error.filename:
        file, line = Path(error.filename), error.lineno or 0
    else:
        for frame in traceback.extract_tb(error.__traceback__):
            if _below(home, frame.filename) in plugin.files:
                file, line = Path(frame.filename), frame.lineno or 0
    shown = plugin.home / file.relative_to(home) if file.is_relative_to(home) else file
    what = str(error) if isinstance(error, MerError) else f"{type(error).__name__}: {error}"
    where = "" if home == plugin.home else f" on node {socket.gethostname()}"
    place = f"{shown}, line {line}" if line else str(shown)
    return f"plug-in {plugin.given}: {place}{where}: {what.rstrip('.')}. {_advice(plugin, error)}"


def _below(home: Path, file: str) -> str:
    return Path(file).relative_to(home).as_posix() if Path(file).is_relative_to(home) else ""


def _advice(plugin: PluginFiles, error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        folder = plugin.home / top_of(error.name)
        if folder.is_dir():
            return f"A folder of helpers needs a file {folder / '__init__.py'}."
        return f"Install {error.name} on every node, or put {folder.name}.py beside the plug-in."
    return "Correct it, or leave the plug-in out."


def _worker_folder() -> Path:
    """Return a new folder of this process, and remove those of workers that were killed before they could."""
    place = Path(tempfile.gettempdir())
    for old in place.glob(f"{WORKER_FOLDER}*/.lock"):
        with contextlib.suppress(OSError), old.open() as file:
            # Whoever wrote the folder holds its lock as long as it lives.
            if lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(old.parent, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=WORKER_FOLDER)).resolve()
    handle = os.open(folder / ".new", os.O_CREAT | os.O_RDWR, 0o600)
    # Where there are no locks, nobody gets this one, and what is left stays.
    lock(handle)
    (folder / ".new").rename(folder / ".lock")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
