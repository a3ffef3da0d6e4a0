"""Reading a YAML file of options: every scalar stays the text that it is, so that it means what it means as an option.

So ``tracking_uri: off``, ``results: 2024`` and ``seeds: 0,1`` are what they are on the command line. Values below
``set`` and ``search`` are YAML, as those of ``--set model.key=value`` are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor

from bench.options.option import key_of
from bench.options.values import BY_MODEL
from preprocess.base.errors import UsageError

_NULL = "tag:yaml.org,2002:null"


@dataclass
class YamlFile:
    """What a file says.

    Attributes
    ----------
    path : the file.
    values : key -> text, list of texts, mapping of texts, or None for YAML's null; of ``BY_MODEL``, model.key ->
        value.
    lines : key, or (key, name below it), -> its line, counted from 1.
    """

    path: Path
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[tuple[str, ...], int] = field(default_factory=dict)

    def where(self, *names: str) -> str:
        """Return the file, with the line of a key, for a message."""
        line = self.lines.get(names) or self.lines.get(names[:1])
        return f"{self.path}, line {line}" if line else f"{self.path}"


def read_yaml(path: Path) -> YamlFile:
    """Read a file of keys and values.

    Raises
    ------
    UsageError : it cannot be read, is no plain YAML, holds no keys, or says a key twice (with both lines).
    """
    file = YamlFile(path)
    try:
        root = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
        if root is None or root.tag == _NULL:
            return file
        if not isinstance(root, yaml.MappingNode):
            raise UsageError(
                f"--config {path}: expected keys and values at the top level, such as `models: [ststnet]`; found "
                f"{'a list' if isinstance(root, yaml.SequenceNode) else 'a single value'}."
            )
        for name, line, node in _entries(root):
            key = key_of(name)
            _note(file, (key,), line)
            nested = key in BY_MODEL and isinstance(node, yaml.MappingNode)
            file.values[key] = _settings(file, key, node) if nested else _texts(node)
    except OSError as error:
        raise UsageError(f"--config {path}: cannot be read ({error.strerror}).") from error
    except RecursionError as error:
        raise UsageError(f"--config {path}: is not valid YAML: a value holds itself (`&` and `*`).") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise UsageError(f"--config {path}: is not valid YAML: {_plainly(error)}") from error
    return file


def _settings(file: YamlFile, key: str, root: yaml.Node) -> dict[str, Any]:
    """Return model.key -> value of a mapping whose names may also be nested: ``{model: {key: value}}``."""
    values: dict[str, Any] = {}
    for name, line, node in _flat(root):
        _note(file, (key, name), line)
        values[name] = _typed(node)
    return values


def _typed(node: yaml.Node) -> Any:
    try:
        return SafeConstructor().construct_document(node)
    except ValueError:
        # The day 2024-99-99, say: a text that no hyper-parameter of another type will take.
        return node.value


def _flat(root: yaml.Node, above: str = "") -> Iterator[tuple[str, int, yaml.Node]]:
    for name, line, node in _entries(root):
        if isinstance(node, yaml.MappingNode) and node.value:
            yield from _flat(node, f"{above}{name}.")
        else:
            yield f"{above}{name}", line, node


def _texts(node: yaml.Node) -> Any:
    if node.tag not in SafeConstructor.yaml_constructors:
        raise yaml.YAMLError(f"line {node.start_mark.line + 1}: {node.tag.rpartition(':')[2]!r} is no plain value")
    if isinstance(node, yaml.SequenceNode):
        return [_texts(item) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return {name: _texts(value) for name, _, value in _entries(node)}
    return None if node.tag == _NULL else node.value


def _entries(node: yaml.Node) -> Iterator[tuple[str, int, yaml.Node]]:
    """Yield (name, line, value) of a mapping; a name that is no text is taken as it is written."""
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.YAMLError(f"line {line}: a key is a name, and this one is a list or a mapping")
        yield key.value, line, value


def _note(file: YamlFile, names: tuple[str, ...], line: int) -> None:
    if names in file.lines:
        first = file.lines[names]
        where = f"in line {line}" if line == first else f"in line {first} and in line {line}"
        raise UsageError(f"{file.path}: {'.'.join(names)} is given twice, {where}. Leave one of them out.")
    file.lines[names] = line


def _plainly(error: Exception) -> str:
    """Return what the parser says, on one line and with its line counted from 1."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        hint = " (indent with spaces)" if "'\\t'" in error.problem else ""
        return f"line {error.problem_mark.line + 1}: {error.problem}{hint}"
    return " ".join(str(error).split())
