"""Stores of MLflow that cannot be used are refused in one sentence, before anything is trained."""

from __future__ import annotations

import importlib.util
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bot.errors import ConfigError, TransientError
from models.mlflow_store import artifact_root, asking, open_client, require_mlflow, shown_uri

needs_mlflow = pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="needs the mlflow extra")


@pytest.fixture(autouse=True)
def _no_second_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are not repeated: what is nothing now is nothing in a second."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")


def free_port() -> int:
    """A port of this machine that nobody is on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.fixture
def stranger() -> Iterator[str]:
    """A web server that is not MLflow's."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def do_POST(self) -> None:
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_a_missing_mlflow_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, a wrong configuration."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install lstm-scalping-bot\[mlflow\]"):
        require_mlflow()


@needs_mlflow
def test_a_server_that_is_not_there_is_said_to_be_out_of_reach() -> None:
    """A retry may mend it, so it is no wrong configuration."""
    uri = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(TransientError, match=f"the MLflow server at {uri} cannot be reached: start it"):
        open_client(uri)


@needs_mlflow
def test_another_server_is_refused(stranger: str) -> None:
    """Something answers there, and it is not MLflow."""
    with pytest.raises(ConfigError, match="does not answer as an MLflow server"):
        open_client(stranger)


@needs_mlflow
def test_a_damaged_store_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    """A file that is no database is not written over, and MLflow is not left to try it for minutes."""
    path = tmp_path / "mlflow.db"
    path.write_text("not a database, and longer than its header would be: " * 10)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"mlflow\.db is not an SQLite database"):
        open_client(f"sqlite:///{path}")
    assert path.read_bytes() == before


@needs_mlflow
def test_a_folder_is_no_store(tmp_path: Path) -> None:
    """An SQLite URI that names a folder is refused."""
    with pytest.raises(ConfigError, match="is not a file that may be written"):
        open_client(f"sqlite:///{tmp_path}")


@needs_mlflow
@pytest.mark.parametrize("uri", ["nonsense://x", "mlruns", "http://[::1"])
def test_a_uri_that_mlflow_does_not_take_is_refused(uri: str) -> None:
    """The sentence names it."""
    with pytest.raises(ConfigError, match="MLflow cannot open"):
        open_client(uri)


@needs_mlflow
def test_a_database_that_nobody_serves_is_said_at_once() -> None:
    """MLflow alone would try for minutes; the password is not in the sentence."""
    uri = f"postgresql://user:secret@127.0.0.1:{free_port()}/runs"
    with pytest.raises(TransientError, match="cannot be reached") as caught:
        open_client(uri)
    assert "secret" not in str(caught.value)


@needs_mlflow
def test_the_environments_uri_does_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The store that was asked for is spoken to, whatever MLFLOW_TRACKING_URI says."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    client = open_client(f"sqlite:///{tmp_path}/mlflow.db")
    assert client.tracking_uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert (tmp_path / "mlflow.db").exists()


def test_a_password_is_not_shown() -> None:
    """Neither in a URI nor in what a foreign exception says of it."""
    uri = "https://user:secret@example.org:8443/mlflow"
    assert shown_uri(uri) == "https://***@example.org:8443/mlflow"
    assert shown_uri("sqlite:///a@b.db") == "sqlite:///a@b.db"
    with pytest.raises(TransientError) as caught, asking(uri, "ending the run"):
        raise OSError(f"GET {uri}: 500 for secret " + "x" * 1000)
    sentence = str(caught.value)
    assert sentence.startswith(
        "MLflow at https://***@example.org:8443/mlflow failed while ending the run: GET"
    )
    assert "secret" not in sentence
    assert len(sentence) < 400


def test_what_is_ours_is_not_said_twice() -> None:
    """An exception of ours goes through as it is."""
    with pytest.raises(ConfigError, match=r"^plain$"), asking("sqlite:///a.db", "asking"):
        raise ConfigError("plain")


def test_only_a_store_without_a_server_needs_a_place_for_artifacts(tmp_path: Path) -> None:
    """Beside an SQLite file; a server knows its own."""
    assert artifact_root(f"sqlite:///{tmp_path}/a.db") == (tmp_path / "mlartifacts").as_uri()
    assert artifact_root("http://127.0.0.1:5000") is None
