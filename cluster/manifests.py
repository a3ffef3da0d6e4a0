"""Write the files that start a cluster, filled in: ``python -m cluster.manifests kuberay --image ... --gpus ...``.

``kuberay`` writes what Kubernetes reads, ``launcher local``, ``launcher aws`` and ``launcher gcp`` what ``ray up``
reads. What lies in ``cluster/kuberay/`` and ``cluster/launcher/`` is what these write of themselves.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from cluster.entrypoint import submitted
from cluster.for_kubernetes import KubeCluster
from cluster.for_launcher import LAUNCHERS, Machines, OwnMachines
from cluster.kube_parts import Object
from preprocess.base.docs import first_line
from preprocess.base.errors import MerError, UsageError
from preprocess.base.files import write_atomic

HERE = Path(__file__).parent
SUBMIT = "ray job submit --address http://127.0.0.1:8265 --working-dir . --"

_ATTRIBUTE = re.compile(r"^ *(\w+) : (.*)$", re.MULTILINE)


class _Plain(yaml.SafeDumper):
    """YAML without anchors: equal parts are written out, so that each can be read and changed by itself."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def kuberay_files(cluster: KubeCluster) -> dict[str, str]:
    """Return file name -> content of what Kubernetes reads."""
    objects = {
        "base.yaml": (cluster.base(), "Once: volumes and the MLflow server, which outlive every job and cluster."),
        "rayjob.yaml": (cluster.rayjob(), "One run on a cluster of its own, which goes when the run has ended."),
        "raycluster.yaml": (cluster.raycluster(), "A head that stays, for `ray job submit`; nodes come and go."),
    }
    return {name: _with_header("kuberay", what, [], found) for name, (found, what) in objects.items()}


def launcher_file(name: str, machines: Machines) -> str:
    """Return the content of a file for ``ray up``, with the commands to use it in its head."""
    words = machines.command()
    # The job's copy of the checkout is what runs, on every node.
    job = submitted(["python", "bench/run_all.py", *words[2:]])
    file = f"cluster/launcher/{name}.yaml"
    steps = ["ray get-auth-token --generate", f"ray up -y {file}", f"ray dashboard {file}"]
    steps += [f"RAY_AUTH_MODE=token {SUBMIT} {job}"]
    if isinstance(machines, OwnMachines):
        # `ray down` ends no Ray there: it looks for `ray` on a path that does not know the environment.
        steps += [f"ray exec {file} '{machines.environment}/bin/ray stop'"]
    steps += [f"ray down -y {file}"]
    return _with_header(f"launcher {name}", "For `ray up`. From a checkout:", steps, [machines.configuration()])


def _with_header(command: str, what: str, steps: list[str], objects: list[Object]) -> str:
    written = f"Written by `python -m cluster.manifests {command}`; give its options in place of a change here."
    head = "".join(f"# {line}\n" for line in [written, what, *(f"  {step}" for step in steps)])
    return head + yaml.dump_all(objects, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)


def _write(folder: Path, files: dict[str, str], say: Callable[[str], None]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomic(folder / name, content.encode())
            say(f"wrote {folder / name}")
    except OSError as error:
        raise UsageError(f"--out {folder}: cannot be written ({error.strerror}). Name another folder.") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files that start a cluster. What follows ``--`` are options of ``merbench run``."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    cut = words.index("--") if "--" in words else len(words)
    given = _parser().parse_args(words[:cut])
    try:
        request = _request(given.kind, given, tuple(words[cut + 1 :]))
        if isinstance(request, KubeCluster):
            _write(given.out or HERE / "kuberay", kuberay_files(request), print)
        else:
            name = given.launcher
            _write(given.out or HERE / "launcher", {f"{name}.yaml": launcher_file(name, request)}, print)
    except MerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cluster.manifests", description=main.__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="{kuberay,launcher}")
    _add(commands.add_parser("kuberay", help="what Kubernetes reads"), KubeCluster)
    launchers = commands.add_parser("launcher", help="what `ray up` reads").add_subparsers(
        dest="launcher", required=True, metavar="{" + ",".join(LAUNCHERS) + "}"
    )
    for name, kind in LAUNCHERS.items():
        _add(launchers.add_parser(name, help=first_line(kind)), kind)
    return parser


def _add(parser: argparse.ArgumentParser, kind: type) -> None:
    """Add an option for each field of a dataclass: its type, its default, and its line in the docstring."""
    parser.set_defaults(kind=kind)
    about = {name: text for base in reversed(kind.__mro__) for name, text in _ATTRIBUTE.findall(base.__doc__ or "")}
    for field, is_many in _fields(kind):
        default: Any = field.default
        shown = ",".join(default) if is_many else default
        text = f"{about[field.name]} default: {shown or 'none'}".replace("%", "%%")
        value = str if is_many else type(default)
        option = f"--{field.name.replace('_', '-')}"
        parser.add_argument(option, type=value, action="append" if is_many else "store", help=text)
    parser.add_argument("--out", type=Path, help="the folder to write to; default: that of this checkout")


def _fields(kind: type) -> Iterator[tuple[dataclasses.Field[Any], bool]]:
    """Yield each field that has an option, and whether it may be given several times."""
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if field.name != "options":
            yield field, hints[field.name] == tuple[str, ...]


def _request(kind: type, given: argparse.Namespace, options: tuple[str, ...]) -> Any:
    """Return the dataclass with what was given in place of its defaults."""
    values = {field.name: (getattr(given, field.name), is_many) for field, is_many in _fields(kind)}
    said = {name: tuple(value) if is_many else value for name, (value, is_many) in values.items() if value is not None}
    return kind(**said, options=options)


if __name__ == "__main__":
    sys.exit(main())
