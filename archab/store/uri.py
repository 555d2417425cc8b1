"""The address of a store: the file that it means, whether anybody answers there, and how it is shown."""

import os
import re
import socket
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from archab.errors import ArchabError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
SCHEMES = (*DATABASES, "http", "https", "databricks", "file")


def hidden(text: str) -> str:
    """A text without the passwords of the addresses in it."""
    text = re.sub(r"(://[^\s:/@\"']+):[^\s@/\"']*@", r"\1:***@", text)
    return re.sub(r"([?&](?:ssl)?(?:password|passwd|pwd)=)[^\s&\"']*", r"\1***", text, flags=re.IGNORECASE)


def of_database(uri: str) -> bool:
    """Whether a store is a database that is spoken to through SQLAlchemy."""
    return re.split(r"\W", uri)[0] in DATABASES


def file_of(uri: str) -> Path | None:
    """The file that an SQLite address means to SQLAlchemy, None for another store.

    Raises:
        ArchabError: if it is no address, or means no file.
    """
    if re.split(r"\W", uri)[0] != "sqlite":
        return None
    url = _parsed(uri)
    if url.host:
        raise ArchabError(f"tracking.uri={uri}: three slashes are needed in front of a file, sqlite:///{url.host}")
    name = unquote(urlsplit(url.database or "").path) if _is_uri(url) else url.database or ""
    if name in ("", ":memory:") or url.query.get("mode") == "memory":
        raise ArchabError(f"tracking.uri={uri}: a store in memory is gone at the end; give a file")
    return Path(name)


def of_file(file: Path, like: str = "sqlite://") -> str:
    """The SQLite address of a file, with the options of another address."""
    from sqlalchemy.engine import URL

    named, options = _parsed(like), "".join(like.partition("?")[1:])
    plain = f"sqlite:///{file}{options}"
    # MLflow makes the folder of whatever follows sqlite:///, as it stands there; with a driver in between it does not.
    as_it_stands = Path(f"{file}{options}").parent == file.parent
    if as_it_stands and _parsed(plain).database == str(file) and not _is_uri(named):
        return plain
    database = f"file:{quote(str(file))}" if _is_uri(named) else str(file)
    return f"{URL.create('sqlite+pysqlite', database=database).render_as_string()}{options}"


def absolute(uri: str, folder: Path) -> str:
    """An address that means the same wherever it is used: files of SQLite are named from this folder."""
    file = file_of(uri)
    return uri if file is None else of_file(folder / file, uri)


def _parsed(uri: str) -> "URL":
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(uri)
    except (ArgumentError, ValueError) as error:
        raise ArchabError(f"tracking.uri={hidden(uri)}: no address of a database ({error})") from error


def _is_uri(url: "URL") -> bool:
    """Whether an address holds a URI of SQLite's own, sqlite:///file:mlflow.db?uri=true."""
    from sqlalchemy.util import asbool

    return (url.database or "").startswith("file:") and asbool(url.query.get("uri", False))


def check(uri: str) -> None:
    """Raise an ArchabError if a store cannot be reached or written; without importing MLflow."""
    scheme, colon, _ = uri.partition("://")
    if colon and scheme.split("+")[0] not in SCHEMES:
        raise ArchabError(f"tracking.uri={hidden(uri)}: no store of this kind. There are: {', '.join(SCHEMES)}")
    if file := file_of(uri):
        if not file.parent.is_dir():
            raise ArchabError(f"tracking.uri={uri}: there is no folder {file.parent}")
        if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
            raise ArchabError(f"tracking.uri={uri}: {file} cannot be written; give another tracking.uri")
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
    there = _parsed(uri)
    try:
        if there.host:
            socket.create_connection((there.host, there.port or 5432), timeout=5).close()
    except (OSError, ValueError) as error:
        raise ArchabError(f"tracking.uri={hidden(uri)}: no PostgreSQL server answers there ({error})") from error
