"""Fingerprints of code that follow imports: what a file computes with decides its fingerprint, not where it lies.

A file's fingerprint covers its own syntax tree and that of every file of this project that it imports, at any depth.
Comments, docstrings, layout and the names of modules do not count; an import counts through the code that it brings.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from preprocess.base.hashing import digest

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds this project's rooms."""

ROOMS = ("bench", "cluster", "mer_models", "preprocess", "results")

LEFT_OUT = {
    "preprocess.base.errors": "messages only",
    "preprocess.base.registry": "finds entries by name",
    "mer_models.registry": "describes models; the values that it hands on are in a study's key",
    "mer_models.contracts": "interfaces and recipes; the values of a recipe are in a study's key",
    "mer_models._parts.published": "scores that were printed elsewhere",
    # A layout (axes, and what the steps say of the values) decides how a feature is scaled and augmented. It comes to
    # the engine with the data, and its values are in a study's key; the code that uses it (preprocess.samples.layout,
    # bench.engine) is followed through imports.
    "preprocess.recipes": "features are in a study's key by recipe, content and layout",
    "preprocess.steps": "features are in a study's key by recipe, content and layout",
}
"""Modules that cannot change a number of a fold, each with the reason. Neither they nor what they import counts."""


@dataclass(frozen=True)
class _Import:
    """What one name of an import brings.

    Attributes
    ----------
    name : how the file speaks of it.
    files : where its code stands.
    """

    name: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class _Code:
    """The code of a file.

    Attributes
    ----------
    own : digest of the code without its imports from this project.
    imports : these imports, each by itself.
    """

    own: str
    imports: tuple[_Import, ...]


def code_fingerprint(entry: Path | str, root: Path = ROOT) -> str:
    """Return the fingerprint of a Python file's code and of all project code that it imports.

    Parameters
    ----------
    entry : the file.
    root : the folder of the rooms. A file outside of them (a plug-in) counts with the modules of its own package, or
        with the files beside it where it is in no package.

    Returns
    -------
    sha256, 64 hex digits.

    Raises
    ------
    SyntaxError : the file, or one that it imports, is no Python.
    OSError : one of them cannot be read.
    """
    files = {path: _code(path, root) for path in files_of(entry, root)}
    nodes = set()
    for code in files.values():
        brought = sorted([one.name, sorted(files[path].own for path in one.files)] for one in code.imports)
        nodes.add(digest([code.own, brought]))
    return digest(sorted(nodes))


def files_of(entry: Path | str, root: Path = ROOT) -> list[Path]:
    """Return the files that count in the fingerprint of ``entry``: itself and what it imports, at any depth."""
    found: dict[Path, None] = {}
    waiting = [Path(entry).resolve()]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found[path] = None
            waiting += [file for one in _code(path, root).imports for file in one.files]
    return list(found)


def _code(path: Path, root: Path) -> _Code:
    state = path.stat()
    return _parsed(path, root.resolve(), state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=1024)
def _parsed(path: Path, root: Path, modified: int, size: int) -> _Code:
    """Return a file's code.

    Parameters
    ----------
    path : the file.
    root : the folder of the rooms.
    modified : when the file was changed, so that it is read again when it has changed.
    size : of the file, for the same reason.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    taken = _TakeImports(path, root)
    tree = taken.visit(tree)
    named = _NameModules(taken.modules)
    tree = named.visit(tree)
    for node in ast.walk(tree):
        _drop_docstring(node)
        if getattr(node, "body", None) == [] and not isinstance(node, ast.Module):
            node.body = [ast.Pass()]  # type: ignore[attr-defined]
    own = digest(ast.unparse(ast.fix_missing_locations(tree)))
    return _Code(own, (*taken.values, *named.imports()))


def _drop_docstring(node: ast.AST) -> None:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:]


class _TakeImports(ast.NodeTransformer):
    """Takes the imports from this project out of a tree. Those for type checkers alone bring nothing.

    Attributes
    ----------
    values : imports of functions, classes and constants.
    modules : how the file speaks of a module -> its files.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self.values: list[_Import] = []
        self.modules: dict[str, tuple[Path, ...]] = {}
        self._finder = _Finder(path, root)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.AST]:
        if ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            return [kept for one in node.orelse if (kept := self.visit(one)) is not None]
        return self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> ast.AST | None:
        others = []
        for alias in node.names:
            if self._finder.knows(alias.name):
                self.modules[alias.asname or alias.name] = self._finder.files(alias.name)
            else:
                others.append(alias)
        return ast.Import(others) if others else None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        module = self._finder.absolute(node.module or "", node.level)
        if not self._finder.knows(module):
            return node
        for alias in node.names:
            inner = f"{module}.{alias.name}"
            if self._finder.is_module(inner):
                self.modules[alias.asname or alias.name] = self._finder.files(inner)
            else:
                name = f"{alias.name} as {alias.asname or alias.name}"
                self.values.append(_Import(name, self._finder.files(module)))
        return None


class _NameModules(ast.NodeTransformer):
    """Calls the modules of this project by the order in which the code speaks of them, so that their names are free."""

    def __init__(self, modules: dict[str, tuple[Path, ...]]) -> None:
        self._modules = modules
        self._places: dict[str, str] = {}

    def imports(self) -> Iterator[_Import]:
        for spoken, files in self._modules.items():
            yield _Import(self._places.get(spoken, "never used"), files)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self._named(node.id) or node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return self._named(ast.unparse(node)) or self.generic_visit(node)

    def _named(self, spoken: str) -> ast.Name | None:
        if spoken not in self._modules:
            return None
        return ast.Name(self._places.setdefault(spoken, f"module{len(self._places)}"), ast.Load())


class _Finder:
    """Finds the files of the modules that one file imports."""

    def __init__(self, path: Path, root: Path) -> None:
        self._root, self._path = root, path
        names = []
        self._home = path.parent
        while (self._home / "__init__.py").is_file():
            names.append(self._home.name)
            self._home = self._home.parent
        self._package = list(reversed(names))

    def absolute(self, module: str, level: int) -> str:
        """Return the full name of a module that is imported with ``level`` dots before it."""
        if not level:
            return module
        return ".".join([*self._package[: len(self._package) - level + 1], *([module] if module else [])])

    def knows(self, module: str) -> bool:
        """Return whether a module is of this project, or of the plug-in that the file belongs to."""
        top = module.partition(".")[0]
        if top in ROOMS:
            return True
        if self._package:
            return top == self._package[0]
        # A folder of installed packages is full of files that have nothing to do with one another.
        return self._home.name not in ("site-packages", "dist-packages") and self.is_module(top)

    def is_module(self, module: str) -> bool:
        """Return whether there is a file for a module."""
        return self._file(module) is not None

    def files(self, module: str) -> tuple[Path, ...]:
        """Return a module's file and the packages around it that hold code, as far as they count."""
        words = module.split(".")
        names = [".".join(words[:count]) for count in range(1, len(words) + 1)]
        if module in LEFT_OUT:
            return ()
        files = [self._file(name) for name in names if name not in LEFT_OUT]
        return tuple(file for file in files if file and file != self._path and _holds_code(file))

    def _file(self, module: str) -> Path | None:
        words = module.split(".")
        place = (self._root if words[0] in ROOMS else self._home).joinpath(*words)
        found = (place.with_name(f"{place.name}.py"), place / "__init__.py")
        return next((file.resolve() for file in found if file.is_file()), None)


def _holds_code(file: Path) -> bool:
    if file.name != "__init__.py":
        return True
    tree = ast.parse(file.read_text(encoding="utf-8"))
    _drop_docstring(tree)
    return bool(tree.body)
