"""Which files a plug-in is made of: found on the driver by a name, and sent to workers that do not see them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from preprocess.base.code import ROOMS, files_of
from preprocess.base.errors import UsageError

MOST_BYTES = 16 * 2**20
"""Most source that a plug-in may have: more is a whole project, which is better installed on every node."""


@dataclass(frozen=True)
class PluginFiles:
    """The source of one plug-in, as the driver found it.

    Attributes
    ----------
    given : what the user called it.
    modules : names under which its modules are imported, in this order.
    home : the folder below which the files lie; a worker puts them below another one.
    files : path below ``home``, with slashes -> the file's bytes.
    """

    given: str
    modules: tuple[str, ...]
    home: Path
    files: Mapping[str, bytes] = field(repr=False)

    def tops(self) -> list[str]:
        """Return the top-level modules that it brings: its own and those of its helpers."""
        return sorted({top_level(path) for path in self.files})


def top_level(path: str) -> str:
    """Return the top-level module that a path below a plug-in's home belongs to."""
    return path.partition("/")[0].removesuffix(".py")


def find_plugin(given: str) -> PluginFiles:
    """Find and read what a plug-in consists of, without running it.

    Parameters
    ----------
    given : a Python file, a folder of such files, a package's folder, or the name of a module that can be imported.

    Returns
    -------
    A folder's modules are all files in it whose names do not begin with an underscore. Files: these; where they are
    part of a package, its other modules; where they are not, the files beside them that they import.

    Raises
    ------
    UsageError : there is no such file, folder or module, it holds no Python, or it cannot be a plug-in.
    """
    path = _path(given)
    if path.is_dir():
        entries = sorted(file for file in path.glob("*.py") if not file.name.startswith(("_", ".")))
        if (path / "__init__.py").is_file():
            entries.insert(0, path / "__init__.py")
        if not entries:
            raise UsageError(
                f"plug-in {given}: the folder {path} holds no Python file whose name begins with a letter."
            )
    elif path.suffix == ".py":
        entries = [path]
    else:
        raise UsageError(f"plug-in {given}: {path} is no Python file; expected one that ends in .py, or a folder.")
    home = _home(entries[0])
    for entry in entries:
        _check_place(given, entry, home)
    files = {file.relative_to(home).as_posix(): file.read_bytes() for file in _all_files(given, entries, home)}
    if sum(map(len, files.values())) > MOST_BYTES:
        raise UsageError(
            f"plug-in {given}: it comes with {len(files)} Python files, more than {MOST_BYTES >> 20} MiB, in {home}. "
            "Move it out of that package, or install the package on every node with an entry point."
        )
    modules = tuple(_module_name(given, entry, home) for entry in entries)
    return PluginFiles(given, modules, home, files)


def _path(given: str) -> Path:
    path = Path(given).expanduser()
    if not given.strip():
        raise UsageError("plug-in '': expected a Python file, a folder of such files, or the name of a module.")
    if path.exists():
        return path.resolve()
    if path.suffix == ".py" or "/" in given or "\\" in given:
        raise UsageError(f"plug-in {given}: there is no such file or folder; {path.absolute()} does not exist.")
    found = _module_file(given)
    if found is None:
        beside = Path(f"{given}.py")
        hint = f" Did you mean the file {beside}?" if beside.is_file() else " A file is given with its ending, as x.py."
        raise UsageError(f"plug-in {given}: there is no such file or folder, and no module of this name.{hint}")
    return found


def _module_file(name: str) -> Path | None:
    """Return the file of a module, the folder of a package; None where there is none. Nothing is imported."""
    top, *words = name.split(".")
    if not top.isidentifier():
        return None
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        return None
    place = Path(spec.origin)
    place = place.parent if place.name == "__init__.py" else place
    if words:
        place = place.joinpath(*words)
        place = place if place.is_dir() else place.with_name(f"{place.name}.py")
    return place.resolve() if place.exists() else None


def _home(file: Path) -> Path:
    folder = file.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def _module_name(given: str, file: Path, home: Path) -> str:
    words = list(file.relative_to(home).with_suffix("").parts)
    words = words[:-1] if words[-1] == "__init__" else words
    for word in words:
        if not word.replace("-", "_").isidentifier():
            raise UsageError(f"plug-in {given}: {word!r} in {file} cannot be a module's name. Rename it.")
    return ".".join(words)


def _check_place(given: str, file: Path, home: Path) -> None:
    top = top_level(file.relative_to(home).as_posix())
    if top in ROOMS:
        raise UsageError(
            f"plug-in {given}: {file} is called like a part of merbench ({', '.join(ROOMS)}). Rename it; what lies in "
            "merbench itself is registered without --plugins."
        )
    if top in sys.stdlib_module_names:
        raise UsageError(f"plug-in {given}: {file} is called like Python's own module {top!r}. Rename it.")


def _all_files(given: str, entries: list[Path], home: Path) -> Iterator[Path]:
    """Yield every file that counts, once. A helper that is called like one of Python's own modules is not found."""
    taken: set[Path] = set()
    for entry in entries:
        try:
            wanted = [entry, *files_of(entry)]
        except SyntaxError as error:
            raise UsageError(_no_python(given, error)) from None
        except (OSError, ValueError) as error:
            raise UsageError(
                f"plug-in {given}: {entry}, or a file that it imports, cannot be read as Python: {error}."
            ) from None
        for file in wanted:
            top = top_level(file.relative_to(home).as_posix()) if file.is_relative_to(home) else ROOMS[0]
            if top in ROOMS or top in sys.stdlib_module_names:
                continue
            package = home / top
            found = _sources(package) if (package / "__init__.py").is_file() else [file]
            yield from (one for one in found if one not in taken)
            taken.update(found)


def _sources(package: Path) -> list[Path]:
    files = (file for file in sorted(package.rglob("*.py")) if file.is_file())
    return [file for file in files if not any(part.startswith(".") for part in file.relative_to(package).parts)]


def _no_python(given: str, error: SyntaxError) -> str:
    code = f": {error.text.strip()}" if error.text else ""
    return (
        f"plug-in {given}: {error.filename}, line {error.lineno}: SyntaxError: {error.msg}{code}. "
        "Correct the line, or leave the plug-in out."
    )
