"""The command that starts an MLflow server; tests/results/tracking starts it and talks to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.mlflow_server import TrackingServer, main


def value(words: list[str], option: str) -> str:
    """Return what follows an option."""
    return words[words.index(option) + 1]


def test_by_default_it_is_for_this_machine_and_keeps_all_in_its_folder(tmp_path: Path) -> None:
    words = TrackingServer(tmp_path / "my 100%").command()
    assert value(words, "--host") == "127.0.0.1"
    assert value(words, "--backend-store-uri") == f"sqlite:///{tmp_path}/my 100%25/mlflow.db"
    assert value(words, "--artifacts-destination") == f"file://{tmp_path}/my%20100%25/mlartifacts"
    assert value(words, "--workers") == "1"


def test_a_database_and_a_bucket_take_the_place_of_the_folder(tmp_path: Path) -> None:
    words = TrackingServer(tmp_path, database="postgresql://db/mlflow", artifacts="s3://b/a").command()
    assert value(words, "--backend-store-uri") == "postgresql://db/mlflow"
    assert value(words, "--artifacts-destination") == "s3://b/a"
    assert value(words, "--workers") == "4"


def test_it_answers_to_the_names_that_it_is_given(tmp_path: Path) -> None:
    words = TrackingServer(tmp_path, "0.0.0.0", 5001, ("a.org", "b")).command()
    assert {"a.org", "a.org:*", "b", "b:*", "localhost", "127.0.0.1:*"} <= set(
        value(words, "--allowed-hosts").split(",")
    )
    assert {"https://a.org", "http://b:5001"} <= set(value(words, "--cors-allowed-origins").split(","))


def test_a_server_for_a_network_needs_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "mlflow"
    assert main(["--folder", str(folder), "--host", "0.0.0.0"]) == 2
    assert "Give --names with the host names that clients use" in capsys.readouterr().err
    assert not folder.exists()


def test_a_folder_that_cannot_be_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["--folder", str(tmp_path / "file" / "mlflow")]) == 2
    assert "cannot be made (Not a directory)" in capsys.readouterr().err
