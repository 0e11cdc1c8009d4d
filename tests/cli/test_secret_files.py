from pathlib import Path

import pytest
from pydantic import SecretStr

from cli.errors import CommandError
from cli.secret_files import SECRETS, read_secret_files
from worker.settings import Settings

NAME = "DELIVERY_DATABASE_URL"


def test_every_secret_among_the_settings_may_stand_in_a_file() -> None:
    secret = {
        name for name, field in Settings.model_fields.items() if SecretStr in getattr(field.annotation, "__args__", ())
    }
    assert set(SECRETS) == {f"DELIVERY_{name.upper()}" for name in secret}


def test_a_file_s_content_is_the_variable_without_white_space_around_it(tmp_path: Path) -> None:
    file = tmp_path / "database_url"
    file.write_text("  postgresql://one@db/two \n")
    environment = {NAME + "_FILE": str(file)}
    read_secret_files(environment)
    assert environment[NAME] == "postgresql://one@db/two"


def test_no_file_is_no_secret() -> None:
    environment = {NAME + "_FILE": "", "DELIVERY_LOG_LEVEL_FILE": "/nowhere"}
    read_secret_files(environment)
    assert NAME not in environment


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file"), (b"\n", "is empty"), (b"\xff\xfe", "is no text")],
    ids=["missing", "empty", "binary"],
)
def test_a_file_of_no_use_is_named_with_its_variable(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CommandError, match=f"^{NAME}_FILE names {file}, which .*{said}"):
        read_secret_files({NAME + "_FILE": str(file)})


def test_a_variable_and_its_file_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="are both set"):
        read_secret_files({NAME: "postgresql://one", NAME + "_FILE": str(tmp_path / "other")})
