"""What an address gets and what people see of it; the store's and the shards' tests read and write there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from preprocess.base.storage import open_storage, shown_address

KEYS = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_EC2_METADATA_DISABLED": "true"}


@contextmanager
def server_of_2024() -> Iterator[str]:
    """Speak as much of S3 as a put and a get need, and store what comes as it comes; yield host and port."""
    stored: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            stored[self.path.partition("?")[0]] = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(200)

        def do_GET(self) -> None:
            found = stored.get(self.path.partition("?")[0])
            self._answer(404 if found is None else 200, found or b"")

        do_HEAD = do_GET

        def _answer(self, status: int, content: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("ETag", '"1"')
            self.send_header("Last-Modified", formatdate(usegmt=True))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *given: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("told_by", ["the address", "a variable"])
def test_a_server_that_knows_no_checksums_stores_the_file_and_no_more(
    told_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_REQUEST_CHECKSUM_CALCULATION", raising=False)
    with server_of_2024() as host:
        options = f"?region=us-east-1&scheme=http&endpoint_override={host}"
        if told_by == "a variable":
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}")
            options = "?region=us-east-1"
        storage = open_storage(f"s3://lab/runs{options}")
        storage.write("store.json", b"{}")
        assert storage.read("store.json") == b"{}"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("s3://KEY:secret@bucket/runs?region=eu", "s3://***@bucket/runs?region=eu"),
        ("s3://KEY:sec/ret@bucket/runs", "s3://***@bucket/runs"),
        ("s3://KEY:sec@ret@bucket/runs", "s3://***@bucket/runs"),
        (
            "s3://bucket/me@home?endpoint_override=127.0.0.1:9000",
            "s3://bucket/me@home?endpoint_override=127.0.0.1:9000",
        ),
        ("gs://anonymous@bucket/runs", "gs://anonymous@bucket/runs"),
        ("hdfs://node:8020/me@home", "hdfs://node:8020/me@home"),
        ("/home/me:you@home/runs", "/home/me:you@home/runs"),
    ],
)
def test_a_password_in_an_address_is_masked_and_nothing_else(address: str, shown: str) -> None:
    assert shown_address(address) == shown
