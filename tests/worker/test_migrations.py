"""Migrations: up from empty to the models, back down to nothing, and up again."""

from sqlalchemy import create_engine, inspect

from worker.migrations import check, downgrade, upgrade


def tables(url: str) -> set[str]:
    engine = create_engine(url)
    try:
        return set(inspect(engine).get_table_names()) - {"alembic_version"}
    finally:
        engine.dispose()


def test_up_from_empty_matches_the_models_and_down_leaves_nothing(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    check(empty_database_url)
    assert "message" in tables(empty_database_url)
    downgrade(empty_database_url)
    assert tables(empty_database_url) == set()
    upgrade(empty_database_url)
    check(empty_database_url)
