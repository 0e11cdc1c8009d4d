"""Schema migrations, run by Alembic without a configuration file."""

from functools import partial
from pathlib import Path

from alembic import command
from alembic.config import Config

from worker.cluster import move_in

__all__ = ["downgrade", "upgrade"]


def _config(database_url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str, revision: str = "head", *, is_restored: bool = False) -> bool:
    """Bring the schema up to `revision`, and the head to where the database is: true where a new era has begun
    (cluster.py). Two at once are harmless: the second waits and finds nothing to do."""
    config = _config(database_url)
    if revision == "head":
        config.attributes["at_last"] = partial(move_in, is_restored=is_restored)
    command.upgrade(config, revision)
    return bool(config.attributes.get("came_of_it"))


def downgrade(database_url: str, revision: str = "base") -> None:
    command.downgrade(_config(database_url), revision)


def check(database_url: str) -> None:
    """Raises alembic's CommandError where the models and the migrated schema differ."""
    command.check(_config(database_url))
