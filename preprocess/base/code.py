"""Fingerprints of code that follow imports: what a file computes with decides its fingerprint, not where it lies.

A file's fingerprint covers its own syntax tree and that of every file of this project that it imports, at any depth.
Comments, docstrings, layout and the names of modules do not count; an import counts through the code that it brings.
Nor does the version of Python that reads the files: a study that was begun with one is continued with another.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
_FOR_TYPE_CHECKERS = ("TYPE_CHECKING", "typing.TYPE_CHECKING")


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
class _Module:
    """The file of a module.

    Attributes
    ----------
    file : the file; of a package its ``__init__.py``.
    counts : whether there is code in it; that of a package may be empty but for a docstring.
    """

    file: Path
    counts: bool


@dataclass(frozen=True)
class _Code:
    """The code of a file.

    Attributes
    ----------
    version : when the file was changed, in ns, and its size in bytes.
    own : digest of the code without its imports from this project.
    imports : these imports, each by itself.
    looked : where modules of a plug-in were looked for, and what was there. While a notebook is open, helpers come.
    """

    version: tuple[int, int]
    own: str
    imports: tuple[_Import, ...]
    looked: tuple[tuple[Path, _Module | None], ...]

    def holds(self, version: tuple[int, int]) -> bool:
        """Say whether it is still the code of the file, which has a version now."""
        return self.version == version and all(_module_at(place) == found for place, found in self.looked)


_read: dict[tuple[Path, Path], _Code] = {}
"""(file, folder of the rooms) -> its code."""


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
    root = root.resolve()
    files = {path: _code(path, root) for path in files_of(entry, root)}
    nodes = set()
    for code in files.values():
        brought = sorted([one.name, sorted(files[path].own for path in one.files)] for one in code.imports)
        nodes.add(digest([code.own, brought]))
    return digest(sorted(nodes))


def files_of(entry: Path | str, root: Path = ROOT) -> list[Path]:
    """Return the files that count in the fingerprint of ``entry``: itself and what it imports, at any depth."""
    root = root.resolve()
    found: dict[Path, None] = {}
    waiting = [Path(entry).resolve()]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found[path] = None
            waiting += [file for one in _code(path, root).imports for file in one.files]
    return list(found)


def _code(path: Path, root: Path) -> _Code:
    """Return a file's code, which is read once for as long as nothing has changed."""
    version = _version(path)
    known = _read.get((path, root))
    if known is None or not known.holds(version):
        known = _read[path, root] = _parsed(path, root, version)
    return known


def _version(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_mtime_ns, state.st_size


def _parsed(path: Path, root: Path, version: tuple[int, int]) -> _Code:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    finder = _Finder(path, root)
    taken = _TakeImports(finder)
    taken.visit(tree)
    named = _NameModules(taken.modules)
    if taken.modules:
        named.visit(tree)
    _drop_docstrings(tree)
    _plain_strings(tree)
    return _Code(version, digest(ast.unparse(tree)), (*taken.values, *named.imports()), finder.looked())


def _plain_strings(tree: ast.AST) -> None:
    """Make calls of f-strings. Versions of Python cut them in other places, and write them with other quotes."""
    for node in ast.walk(tree):
        made: Any = node
        if isinstance(node, ast.JoinedStr):
            made.args = _joined(node.values)
        elif isinstance(node, ast.FormattedValue):
            made.args = [node.value, ast.Constant(node.conversion), *([node.format_spec] if node.format_spec else [])]
        else:
            continue
        made.func, made.keywords = ast.Name(type(node).__name__), []
        made.__class__ = ast.Call


def _joined(parts: list[ast.expr]) -> list[ast.expr]:
    """Return the parts of an f-string with what stands between two values in one piece."""
    joined: list[ast.expr] = []
    for part in parts:
        if isinstance(part, ast.Constant) and joined and isinstance(joined[-1], ast.Constant):
            joined[-1] = ast.Constant(str(joined[-1].value) + str(part.value))
        elif not isinstance(part, ast.Constant) or part.value:
            joined.append(part)
    return joined


def _blocks(node: ast.AST) -> Iterator[list[Any]]:
    """Yield the lists of statements in a statement; nothing else can hold an import or a docstring."""
    for name in _BLOCKS:
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block


def _drop_docstrings(node: ast.AST) -> None:
    """Remove the docstrings of a node and of all in it; what is left empty passes."""
    _drop_docstring(node)
    if getattr(node, "body", None) == [] and not isinstance(node, ast.Module):
        node.body = [ast.Pass()]  # type: ignore[attr-defined]
    for block in _blocks(node):
        for statement in block:
            _drop_docstrings(statement)


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

    def __init__(self, finder: _Finder) -> None:
        self.values: list[_Import] = []
        self.modules: dict[str, tuple[Path, ...]] = {}
        self._finder = finder

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for block in _blocks(node):
            block[:] = self._visited(block)
        return node

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.AST]:
        if isinstance(node.test, ast.Name | ast.Attribute) and ast.unparse(node.test) in _FOR_TYPE_CHECKERS:
            return self._visited(node.orelse)
        return self.generic_visit(node)

    def _visited(self, block: list[Any]) -> list[Any]:
        kept = (self.visit(statement) for statement in block)
        return [one for some in kept if some is not None for one in (some if isinstance(some, list) else [some])]

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
        self._found: dict[str, _Module | None] = {}
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
        top = top_of(module)
        if top in ROOMS:
            return True
        if self._package:
            return top == self._package[0]
        # A folder of installed packages is full of files that have nothing to do with one another.
        return self._home.name not in ("site-packages", "dist-packages") and self.is_module(top)

    def is_module(self, module: str) -> bool:
        """Return whether there is a file for a module."""
        return self._at(module) is not None

    def files(self, module: str) -> tuple[Path, ...]:
        """Return a module's file and the packages around it that hold code, as far as they count."""
        words = module.split(".")
        names = [".".join(words[:count]) for count in range(1, len(words) + 1)]
        if module in LEFT_OUT:
            return ()
        found = [self._at(name) for name in names if name not in LEFT_OUT]
        files = [one.file.resolve() for one in found if one and one.counts]
        return tuple(file for file in files if file != self._path)

    def looked(self) -> tuple[tuple[Path, _Module | None], ...]:
        """Return where modules were looked for outside of this project's rooms, and what was there."""
        return tuple((self._place(name), found) for name, found in self._found.items() if top_of(name) not in ROOMS)

    def _at(self, module: str) -> _Module | None:
        if module not in self._found:
            self._found[module] = _module_at(self._place(module))
        return self._found[module]

    def _place(self, module: str) -> Path:
        return (self._root if top_of(module) in ROOMS else self._home).joinpath(*module.split("."))


def top_of(module: str) -> str:
    """Return the top-level package, or module, that a module belongs to."""
    return module.partition(".")[0]


def _module_at(place: Path) -> _Module | None:
    """Return the module whose file, without its ending, or folder lies at a place."""
    file, package = place.with_name(f"{place.name}.py"), place / "__init__.py"
    if file.is_file():
        return _Module(file, counts=True)
    return _Module(package, _holds_code(package, _version(package))) if package.is_file() else None


@functools.lru_cache(maxsize=1024)
def _holds_code(file: Path, version: tuple[int, int]) -> bool:
    """Say whether there is more in a file than a docstring; it is read again when it has another version."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    _drop_docstring(tree)
    return bool(tree.body)
