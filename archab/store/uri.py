"""The address of a store: the file that it means, how it is shown, whether anybody answers; known without MLflow."""

import os
import re
import shlex
import socket
import sqlite3
import tempfile
import urllib.request
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Self
from urllib.parse import quote, unquote, urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.util import asbool

from archab.errors import ArchabError, first_line

TRAINING = "workflowType=machine_learning"  # or MLflow shows what a language model would have
VIEW = "archab"  # the name of the view that `view.json` holds
PAGE = f"runs?compareRunsMode=CHART&{TRAINING}&viewStateShareKey={VIEW}"
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
SCHEMES = (*DATABASES, "http", "https", "databricks", "file")


@dataclass(frozen=True)
class Address:
    """Where runs are logged: an MLflow tracking URI, and a folder for artifacts where the store has no server."""

    uri: str
    artifacts: Path

    @classmethod
    def named(cls, uri: str | None, folder: Path) -> Self:
        """The store of this URI, else of MLFLOW_TRACKING_URI, else `mlflow.db` in this folder; paths made absolute."""
        chosen = uri or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
        file = file_of(chosen)
        if file is None:
            return cls(chosen, folder / "mlruns")
        return cls(of_file(folder / file, chosen), (folder / file).parent / "mlruns")

    @property
    def file(self) -> Path | None:
        """The file of an SQLite store."""
        return file_of(self.uri)

    @property
    def shown(self) -> str:
        """The URI without its password: what is printed, logged and kept."""
        return hidden(self.uri)

    def check(self) -> None:
        """Raise an ArchabError if the store cannot be reached or written."""
        scheme, colon, _ = self.uri.partition("://")
        if colon and scheme.split("+")[0] not in SCHEMES:
            raise ArchabError(f"tracking.uri={self.shown}: no store of this kind. There are: {', '.join(SCHEMES)}")
        if file := self.file:
            if not file.parent.is_dir():
                raise ArchabError(f"tracking.uri={self.uri}: there is no folder {file.parent}")
            if file.is_dir() or not (os.access(file, os.W_OK) if file.exists() else _holds_files(file.parent)):
                raise ArchabError(f"tracking.uri={self.uri}: {file} cannot be written; give another tracking.uri")
        elif self.uri.startswith("postgresql"):
            _check_database(self.uri)
        elif self.uri.startswith(("http://", "https://")):
            try:
                there = urlsplit(self.uri)
                host = there.netloc.rpartition("@")[2]
                urllib.request.urlopen(f"{there.scheme}://{host}{there.path.rstrip('/')}/health", timeout=5).close()
            except (OSError, ValueError) as error:
                raise ArchabError(f"tracking.uri={self.shown}: no MLflow server answers there ({error})") from error

    def check_there(self) -> None:
        """Raise an ArchabError if there is no store yet: to read from, it is not made."""
        self.check()
        if self.file and not self.file.exists():
            raise ArchabError(f"tracking.uri={self.shown}: there is no store; it is made by the first run")

    @property
    def review(self) -> str:
        """The command that opens the review, empty where a server runs already."""
        return "" if self.uri.startswith("http") else f"mlflow ui --backend-store-uri {shlex.quote(self.shown)}"

    def link(self, experiment: str, page: str = PAGE) -> str:
        """A page of an experiment: that with its runs and charts where none is named."""
        server = self.shown.rstrip("/") if self.uri.startswith("http") else "http://127.0.0.1:5000"
        return f"{server}/#/experiments/{experiment}/{page}"


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
    named, options = _parsed(like), "".join(like.partition("?")[1:])
    plain = f"sqlite:///{file}{options}"
    # MLflow makes the folder of whatever follows sqlite:///, as it stands there; with a driver in between it does not.
    as_it_stands = Path(f"{file}{options}").parent == file.parent
    if as_it_stands and _parsed(plain).database == str(file) and not _is_uri(named):
        return plain
    database = f"file:{quote(str(file))}" if _is_uri(named) else str(file)
    return f"{URL.create('sqlite+pysqlite', database=database).render_as_string()}{options}"


def _parsed(uri: str) -> URL:
    try:
        return make_url(uri)
    except (ArgumentError, ValueError) as error:
        raise ArchabError(f"tracking.uri={hidden(uri)}: no address of a database ({error})") from error


def _is_uri(url: URL) -> bool:
    """Whether an address holds a URI of SQLite's own, sqlite:///file:mlflow.db?uri=true."""
    return (url.database or "").startswith("file:") and asbool(url.query.get("uri", False))


def _holds_files(folder: Path) -> bool:
    """Whether a file can be made there, which os.access tells only of ordinary folders."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return os.access(folder, os.W_OK)


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


class Unanswered(Exception):
    """What a question to a store in another process came to; see `passes` and `of_store`."""

    def __init__(self, said: str, passes: bool, of_store: bool = True) -> None:
        super().__init__(said, passes, of_store)
        self.passes, self.of_store = passes, of_store

    def __str__(self) -> str:
        return str(self.args[0])


def passes(error: Exception) -> bool:
    """Whether it may work later: a database that is locked, a server that is down."""
    if isinstance(error, Unanswered):
        return error.passes
    database = getattr(error.__cause__ or error, "orig", None)  # its own error, behind SQLAlchemy's, behind MLflow's
    if getattr(database, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
        return False  # such as a table that is missing
    code = getattr(error, "error_code", "")
    lost = {"OperationalError", "InterfaceError"} & {kind.__name__ for kind in type(error).__mro__}  # of the database
    return code in ("TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR") or bool(lost) or isinstance(error, OSError)


def of_store(error: Exception) -> bool:
    """Whether MLflow, its database or the network failed, and not archab."""
    if isinstance(error, Unanswered):
        return error.of_store
    return isinstance(error, OSError) or type(error).__module__.split(".")[0] in ("mlflow", "sqlalchemy")


def told(error: BaseException) -> str:
    """What an exception of the store says, in one line and without passwords."""
    return hidden(first_line(error))
