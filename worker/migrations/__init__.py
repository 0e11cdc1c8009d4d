"""Schema migrations, run by Alembic without a configuration file."""

from pathlib import Path

from alembic import command
from alembic.config import Config

__all__ = ["downgrade", "upgrade"]


def _config(database_url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Bring the schema up to `revision`. Two at once are harmless: the second waits and finds nothing to do."""
    command.upgrade(_config(database_url), revision)


def downgrade(database_url: str, revision: str = "base") -> None:
    command.downgrade(_config(database_url), revision)


def check(database_url: str) -> None:
    """Raises alembic's CommandError where the models and the migrated schema differ."""
    command.check(_config(database_url))
