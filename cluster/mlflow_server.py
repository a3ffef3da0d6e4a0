"""An MLflow server with the flags that a benchmark needs: ``python -m cluster.mlflow_server --folder DIR``.

It has neither passwords nor TLS of its own: ``cluster/README.md`` tells what to put in front of it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from preprocess.base.errors import MerError, UsageError
from results.tracking.client import ARTIFACT_FOLDER, SQLITE, sqlite_uri

PORT = 5000
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

# Neither the runners of its jobs (ten more processes) nor its telemetry are of use here.
ENVIRONMENT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


@dataclass(frozen=True)
class TrackingServer:
    """Where a server keeps what it is told, and who reaches it.

    Attributes
    ----------
    folder : holds the database and the artifacts, where no other place is given for them.
    host : the address that it listens on.
    port : the port that it listens on.
    names : by which other machines call it; a request for another name is refused.
    database : an address such as ``postgresql://...`` in place of the folder's SQLite file.
    artifacts : an address such as ``s3://bucket/path`` in place of the folder's own.

    Raises
    ------
    UsageError : it listens on the network, and no name is given.
    """

    folder: Path
    host: str = "127.0.0.1"
    port: int = PORT
    names: tuple[str, ...] = ()
    database: str | None = None
    artifacts: str | None = None

    def __post_init__(self) -> None:
        if self.host not in _LOOPBACK and not self.names:
            raise UsageError(
                f"--host {self.host} is reached from other machines, and MLflow refuses requests for names that it was "
                "not told. Give --names with the host names that clients use, for example --names mlflow.lab.org."
            )

    def command(self) -> list[str]:
        """Return the command that starts it."""
        folder = self.folder.absolute()
        words = [sys.executable, "-m", "mlflow", "server", "--host", self.host, "--port", str(self.port)]
        words += ["--backend-store-uri", self.database or sqlite_uri(folder / "mlflow.db")]
        # Clients send artifacts to the server: they need no access to where these lie.
        words += ["--artifacts-destination", self.artifacts or (folder / ARTIFACT_FOLDER).as_uri()]
        # A SQLite file has one writer at a time, and is made by the first.
        is_file = not self.database or self.database.startswith(SQLITE)
        words += ["--workers", "1" if is_file else "4"]
        if self.names:
            hosts = [form for name in (*_LOOPBACK, *self.names) for form in (name, f"{name}:*")]
            origins = [form for name in self.names for form in (f"https://{name}", f"http://{name}:{self.port}")]
            words += ["--allowed-hosts", ",".join(hosts), "--cors-allowed-origins", ",".join(origins)]
        return words


def main(arguments: Sequence[str] | None = None) -> int:
    """Become an MLflow server."""
    parser = argparse.ArgumentParser(prog="python -m cluster.mlflow_server", description=main.__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="holds the database and the artifacts")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 for all networks; default: this machine alone")
    parser.add_argument("--port", type=int, default=PORT, help=f"default: {PORT}")
    parser.add_argument("--names", default="", help="host names by which clients reach it, with commas")
    parser.add_argument("--database", help="postgresql://... or the like; default: a SQLite file in the folder")
    parser.add_argument("--artifacts", help="s3://bucket/path or the like; default: in the folder")
    given = parser.parse_args(arguments)
    names = tuple(name.strip() for name in given.names.split(",") if name.strip())
    try:
        server = TrackingServer(given.folder, given.host, given.port, names, given.database, given.artifacts)
        _make(server.folder)
    except MerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    command = server.command()
    return os.execve(command[0], command, {**os.environ, **ENVIRONMENT})


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--folder {folder}: cannot be made ({error.strerror}). Name one that you may write."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
