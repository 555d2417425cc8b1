"""The address of a store: whether anybody answers there, and how it is shown."""

import os
import re
import socket
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from archab.errors import ArchabError

SCHEMES = ("sqlite", "postgresql", "http", "https", "mysql", "mssql", "databricks", "file")


def hidden(text: str) -> str:
    """A text without the passwords of the addresses in it."""
    return re.sub(r"(://[^\s:/@\"']+):[^\s@/\"']*@", r"\1:***@", text)


def check(uri: str) -> None:
    """Raise an ArchabError if a store cannot be reached or written; without importing MLflow."""
    scheme, colon, _ = uri.partition("://")
    if colon and scheme.split("+")[0] not in SCHEMES:
        raise ArchabError(f"tracking.uri={hidden(uri)}: no store of this kind. There are: {', '.join(SCHEMES)}")
    if uri == "sqlite://" or ":memory:" in uri:
        raise ArchabError(f"tracking.uri={hidden(uri)}: a store in memory is gone at the end; give a file")
    if uri.startswith("sqlite:///"):
        file = Path(uri.removeprefix("sqlite:///"))
        if not file.parent.is_dir():
            raise ArchabError(f"tracking.uri={hidden(uri)}: there is no folder {file.parent}")
        if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
            raise ArchabError(f"tracking.uri={hidden(uri)}: {file} cannot be written; give another tracking.uri")
    elif uri.startswith("postgresql"):
        _check_database(uri)
    elif uri.startswith(("http://", "https://")):
        try:
            there = urlsplit(uri)
            host = there.netloc.rpartition("@")[2]
            urllib.request.urlopen(f"{there.scheme}://{host}{there.path.rstrip('/')}/health", timeout=5).close()
        except (OSError, ValueError) as error:
            raise ArchabError(f"tracking.uri={hidden(uri)}: no MLflow server answers there ({error})") from error


def _check_database(uri: str) -> None:
    """Raise an ArchabError if the driver is missing, or nobody listens; MLflow would try for minutes."""
    if find_spec("psycopg") is None and not uri.startswith("postgresql+psycopg2"):
        raise ArchabError(f"tracking.uri={hidden(uri)}: needs the extra postgres: pip install 'archab[postgres]'")
    there = urlsplit(uri)
    try:
        if there.hostname:
            socket.create_connection((there.hostname, there.port or 5432), timeout=5).close()
    except (OSError, ValueError) as error:
        raise ArchabError(f"tracking.uri={hidden(uri)}: no PostgreSQL server answers there ({error})") from error
