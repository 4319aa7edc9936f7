"""A tracking store of MLflow, opened quietly and quickly, with every failure as one clear sentence.

Nothing but the given URI is spoken to: telemetry is off, git is not asked, and the environment's tracking URI does
not count. (Credentials for a server are MLflow's own ``MLFLOW_TRACKING_USERNAME``, ``_PASSWORD`` and ``_TOKEN``.)
"""

from __future__ import annotations

import importlib.util
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from bot.errors import BotError, ConfigError, TransientError

_FIXED = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # it would write over our own bar
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # stdout is for our tables and JSON
    "GIT_PYTHON_REFRESH": "quiet",
}
# MLflow's own tries go on for minutes, and a training would wait for them; a user may choose otherwise.
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
}
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_CONNECT_SECONDS = 5.0
_LONGEST_REASON = 240


def require_mlflow() -> None:
    """Say how to get MLflow where it is missing.

    Raises:
        ConfigError: It is not installed.
    """
    if importlib.util.find_spec("mlflow") is None:
        raise ConfigError(
            "--mlflow needs MLflow, which is not installed: pip install lstm-scalping-bot[mlflow]"
        )


def shown_uri(uri: str) -> str:
    """The URI without the user and password in it."""
    parts = _split(uri)
    if "@" not in parts.netloc:
        return uri
    return parts._replace(netloc=f"***@{parts.netloc.rpartition('@')[2]}").geturl()


def open_client(uri: str) -> Any:
    """A ``MlflowClient`` of a store that has answered; importing MLflow takes seconds.

    Raises:
        ConfigError: The URI is none that MLflow takes, or what is there is no store of this MLflow.
        TransientError: Nothing answers there.
    """
    require_mlflow()
    os.environ.update(_FIXED)
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    _check_reach(uri)
    from mlflow.tracking import MlflowClient

    try:
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)
    except Exception as fault:  # MLflow, SQLAlchemy, requests and the plugins each raise their own
        raise _refusal(uri, fault) from fault
    return client


@contextmanager
def asking(uri: str, doing: str) -> Iterator[None]:
    """Turn whatever MLflow raises while it is asked for something into one sentence.

    Raises:
        TransientError: It failed.
    """
    try:
        yield
    except BotError:
        raise
    except Exception as fault:  # the stores of artifacts are plugins, each with exceptions of its own
        raise TransientError(
            f"MLflow at {shown_uri(uri)} failed while {doing}: {_reason(uri, fault)}"
        ) from fault


def artifact_root(uri: str) -> str | None:
    """Where a new experiment keeps its artifacts: beside an SQLite file; None leaves it to the server.

    MLflow's own place for a store without a server is a folder of wherever the command happens to run.
    """
    path = _sqlite_path(uri)
    return None if path is None else (path.resolve().parent / "mlartifacts").as_uri()


def _check_reach(uri: str) -> None:
    """Look for what MLflow would try again and again for minutes: a file that is no database, a port nobody is on.

    Raises:
        ConfigError: The file is not an SQLite database, or may not be written.
        TransientError: Nobody listens.
    """
    path = _sqlite_path(uri)
    if path is not None:
        _check_sqlite(path)
    parts = _split(uri)
    port = _DATABASE_PORTS.get(parts.scheme.partition("+")[0])
    if port is None or parts.hostname is None:
        return
    try:
        socket.create_connection((parts.hostname, parts.port or port), _CONNECT_SECONDS).close()
    except OSError as fault:
        raise TransientError(
            f"the database of {shown_uri(uri)} cannot be reached ({fault.strerror or fault}): start it, or train "
            "without --mlflow"
        ) from fault


def _check_sqlite(path: Path) -> None:
    """Refuse a file that is there and is not a database, or that may not be written."""
    if not path.exists():
        return
    if path.is_dir() or not os.access(path, os.W_OK):
        raise ConfigError(f"--mlflow: {path} is not a file that may be written")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as fault:
        raise ConfigError(f"--mlflow: {path} is not an SQLite database that can be read ({fault})") from fault


def _sqlite_path(uri: str) -> Path | None:
    """The file of an SQLite URI; None for every other."""
    scheme, separator, rest = uri.partition(":///")
    if not separator or scheme.partition("+")[0] != "sqlite" or rest.startswith(":memory:") or not rest:
        return None
    return Path(rest.partition("?")[0])


def _refusal(uri: str, fault: Exception) -> BotError:
    """Why a store cannot be opened, as an exception of ours."""
    where, reason = shown_uri(uri), _reason(uri, fault)
    if _split(uri).scheme not in {"http", "https"}:
        return ConfigError(f"--mlflow: MLflow cannot open {where}: {reason}")
    if "failed with exception" in reason:  # MLflow's words for a connection that did not come about
        return TransientError(
            f"the MLflow server at {where} cannot be reached: start it, or train without --mlflow ({reason})"
        )
    return ConfigError(f"--mlflow: {where} does not answer as an MLflow server: {reason}")


def _reason(uri: str, fault: Exception) -> str:
    """What a foreign exception says, in one line of bearable length and without the password."""
    text = " ".join(str(fault).split()).replace(uri, shown_uri(uri)) or type(fault).__name__
    secret = _split(uri).password
    if secret:
        text = text.replace(secret, "***")
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"


def _split(uri: str) -> SplitResult:
    """The parts of a URI; one that cannot be parsed has no parts but its path."""
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return SplitResult("", "", uri, "", "")
    return parts
