"""KubeRay's schemas as Kubernetes should apply them: what they do not name is refused, where it would be dropped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema


class KubeSchema:
    """The schema of one kind of object.

    Parameters
    ----------
    file : ``spec.versions[v1].schema.openAPIV3Schema`` of a custom resource definition, as JSON.
    """

    def __init__(self, file: Path) -> None:
        self._schema = strict(json.loads(file.read_text()))

    def check(self, value: Any, *path: str) -> None:
        """Raise a ValidationError where a value is not as the schema has it.

        Parameters
        ----------
        value : the whole object, or the part of one that ``path`` leads to.
        path : names of fields, from the outermost; ``[]`` for the items of a list.
        """
        part = self._schema
        for name in path:
            part = part["items"] if name == "[]" else part["properties"][name]
        # Not `jsonschema.validate`: it holds the schema itself against the rules for schemas, for seconds each time.
        for error in jsonschema.Draft202012Validator(part).iter_errors(value):
            raise error


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of the OpenAPI kind as JSON Schema, with unknown fields refused."""
    found = dict(schema)
    if "properties" in found:
        found["properties"] = {name: strict(part) for name, part in found["properties"].items()}
        if not found.get("x-kubernetes-preserve-unknown-fields"):
            found.setdefault("additionalProperties", False)
    if isinstance(found.get("additionalProperties"), dict):
        found["additionalProperties"] = strict(found["additionalProperties"])
    if "items" in found:
        found["items"] = strict(found["items"])
    return found
