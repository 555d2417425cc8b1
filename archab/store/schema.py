"""Whether a database is a store of the installed version of MLflow, found out before MLflow writes to it."""

import shlex
from pathlib import Path

import mlflow
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine, inspect

from archab.errors import ArchabError
from archab.store.uri import hidden

OWN = {"alembic_version", "experiments", "runs"}  # tables that every store has


def check(uri: str) -> None:
    """Raise an ArchabError where a database belongs to another version of MLflow, or to another application.

    MLflow itself would upgrade some older ones without a word, and make its tables beside those of others.

    Args:
        uri: an address of SQLAlchemy, of a database that may be empty.
    """
    with create_engine(uri, poolclass=NullPool).connect() as connection:
        tables = set(inspect(connection).get_table_names())
        stands = MigrationContext.configure(connection).get_current_revision() if tables else None
    if not tables >= OWN:
        if tables and uri.startswith("sqlite"):  # a server's database may be shared
            raise ArchabError(
                f"tracking.uri={uri}: is the database of another application (its tables: "
                f"{', '.join(sorted(tables)[:5])}); give another file"
            )
        return
    scripts = ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations"))
    newest = scripts.get_current_head()
    if stands == newest:
        return
    if stands in {script.revision for script in scripts.walk_revisions()}:
        raise ArchabError(
            f"tracking.uri={hidden(uri)}: made by an older version of MLflow (its schema is {stands}, that of "
            f"{mlflow.__version__} is {newest}). After a backup: mlflow db upgrade {shlex.quote(hidden(uri))}"
        )
    raise ArchabError(
        f"tracking.uri={hidden(uri)}: made by a newer version of MLflow than {mlflow.__version__}, or by another "
        f"application (its schema is {stands}). Upgrade MLflow (pip install -U mlflow), or give another tracking.uri"
    )
