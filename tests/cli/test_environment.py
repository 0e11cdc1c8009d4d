"""What `up` leaves in the data folder for commands run beside it."""

import stat
from pathlib import Path

from cryptography.fernet import Fernet

from cli import environment as env


def test_commands_beside_a_running_stack_read_what_it_wrote(tmp_path: Path) -> None:
    env.write_environment(tmp_path, {"DELIVERY_DATABASE_URL": "postgresql:///a?b=c", "DELIVERY_REDIS_URL": "redis://r"})
    ours = {"DELIVERY_DATA_DIR": str(tmp_path), "DELIVERY_REDIS_URL": "redis://mine"}
    env.read_environment(ours)
    assert ours["DELIVERY_DATABASE_URL"] == "postgresql:///a?b=c"
    assert ours["DELIVERY_REDIS_URL"] == "redis://mine"


def test_keys_of_the_stack_are_not_mixed_with_another_database(tmp_path: Path) -> None:
    env.write_environment(tmp_path, {"DELIVERY_DATABASE_URL": "postgresql:///a", "DELIVERY_SECRET_KEYS": "k"})
    ours = {"DELIVERY_DATABASE_URL": "postgresql://production/b"}
    env.read_environment(ours, tmp_path)
    assert ours == {"DELIVERY_DATABASE_URL": "postgresql://production/b"}


def test_token_of_the_stack_is_for_its_own_api_alone(tmp_path: Path) -> None:
    env.write_environment(tmp_path, {"DELIVERY_API_URL": "http://127.0.0.1:8000", "DELIVERY_API_TOKEN": "local"})
    here: dict[str, str] = {}
    env.read_environment(here, tmp_path)
    assert here["DELIVERY_API_TOKEN"] == "local"
    elsewhere = {"DELIVERY_API_URL": "https://delivery.example.com"}
    env.read_environment(elsewhere, tmp_path)
    assert elsewhere == {"DELIVERY_API_URL": "https://delivery.example.com"}


def test_secret_key_is_made_once_and_private(tmp_path: Path) -> None:
    key = env.kept_secret_keys(tmp_path)
    Fernet(key)
    assert env.kept_secret_keys(tmp_path) == key
    assert stat.S_IMODE((tmp_path / "secret_keys").stat().st_mode) == 0o600


def test_token_for_commands_beside_the_stack_is_made_once_and_kept_private(tmp_path: Path) -> None:
    token = env.kept_token(tmp_path)
    assert len(token) >= 32
    assert env.kept_token(tmp_path) == token
    assert stat.S_IMODE((tmp_path / "api_token").stat().st_mode) == 0o600


def test_environment_file_is_private(tmp_path: Path) -> None:
    env.write_environment(tmp_path, {"DELIVERY_SECRET_KEYS": "k"})
    assert stat.S_IMODE((tmp_path / "env").stat().st_mode) == 0o600


def test_settings_are_told_from_the_rest() -> None:
    mixed = {"DELIVERY_API_PORT": "8000", "PATH": "/bin", "MY_DELIVERY_API_PORT": "1"}
    assert env.settings_in(mixed) == {"DELIVERY_API_PORT": "8000"}
    assert env.without_settings(mixed) == {"PATH": "/bin", "MY_DELIVERY_API_PORT": "1"}
