"""The command that a cluster runs, ``merbench run``, in the forms that Kubernetes, a launcher and a shell take."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from preprocess.base.errors import UsageError
from preprocess.base.storage import shown_address


@dataclass(frozen=True)
class Benchmark:
    """What a cluster is to run.

    Attributes
    ----------
    results : an absolute folder that all nodes share, or an address such as ``s3://bucket/path``.
    data : databases, as every node finds them; none for the synthetic ones.
    tracking_uri : of an MLflow server that the head reaches; ``off`` for none.
    options : more options of ``merbench run``, word by word.

    Raises
    ------
    UsageError : results that would vanish with the cluster, data that no other machine could find, or an address with
        a password, which would stand in the cluster's files and in the list of its jobs.
    """

    results: str
    data: tuple[str, ...] = ()
    tracking_uri: str = "off"
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, paths in (("--results", (self.results,)), ("--data", self.data)):
            for path in paths:
                if "://" not in path and not path.rpartition("=")[2].startswith("/"):
                    raise UsageError(
                        f"{name} {path!r} is relative, and a cluster has no current folder of yours. Give an absolute "
                        "folder that all nodes share, or an address such as s3://bucket/path."
                    )

        for name, address in (("--results", self.results), ("--tracking-uri", self.tracking_uri)):
            shown = shown_address(address)
            if shown != address:
                raise UsageError(
                    f"{name} {shown}: everybody who sees the cluster's files or jobs would read its password. Leave it "
                    "out, and give it in environment variables (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, "
                    "MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD): see cluster/README.md on secrets."
                )

    def words(self) -> list[str]:
        """Return the command, word by word."""
        data = [word for path in self.data for word in ("--data", path)]
        return ["merbench", "run", *data, "--results", self.results, "--tracking-uri", self.tracking_uri, *self.options]


def submitted(words: Sequence[str]) -> str:
    """Return a command as it is given to ``ray job submit``, and as the ``entrypoint`` of a RayJob.

    A shell reads it before ``ray job submit``, which quotes each word anew (as of Ray 2.60) for the one on the head.
    """
    return shlex.join(words)
