"""Our variables in an environment: what `up` gives its processes, and leaves in the data folder for commands run beside
it."""

import os
import secrets
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path

from cli.errors import CommandError

DATABASE_URL = "DELIVERY_DATABASE_URL"
REDIS_URL = "DELIVERY_REDIS_URL"
SECRET_KEYS = "DELIVERY_SECRET_KEYS"  # noqa: S105 - the name of a variable
BOOTSTRAP_TOKEN = "DELIVERY_BOOTSTRAP_TOKEN"  # noqa: S105 - the name of a variable
API_URL = "DELIVERY_API_URL"
API_TOKEN = "DELIVERY_API_TOKEN"  # noqa: S105 - the name of a variable
DATA_DIR = "DELIVERY_DATA_DIR"
_PREFIX = "DELIVERY_"


def settings_in(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of ours."""
    return {name: value for name, value in environment.items() if name.startswith(_PREFIX)}


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The others: for what must not depend on how somebody's shell is set up."""
    return {name: value for name, value in environment.items() if not name.startswith(_PREFIX)}


def data_dir_in(environment: Mapping[str, str]) -> Path:
    return Path(environment.get(DATA_DIR) or ".delivery")


def write_private(path: Path, text: str) -> None:
    """Writes a file that only we can read, whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def kept_secret_keys(data_dir: Path) -> str:
    """The keys of this data folder, made at the first start: what they encrypted lies in the database beside them."""
    from cryptography.fernet import Fernet  # costs every command a tenth of a second

    return ",".join(_kept(data_dir / "secret_keys", lambda: Fernet.generate_key().decode()).split())


def kept_token(data_dir: Path) -> str:
    """The token of this data folder, made at the first start, with which commands run beside the stack may do all."""
    return _kept(data_dir / "api_token", lambda: secrets.token_urlsafe(32))


def _kept(path: Path, make: Callable[[], str]) -> str:
    if not path.exists():
        write_private(path, make() + "\n")
    return path.read_text().strip()


def write_environment(data_dir: Path, variables: Mapping[str, str]) -> None:
    """`<data dir>/env`: lines NAME=VALUE, for `delivery token create` and the like run beside `delivery up`."""
    write_private(_file(data_dir), "".join(f"{name}={value}\n" for name, value in sorted(variables.items())))


def forget_environment(data_dir: Path) -> None:
    _file(data_dir).unlink(missing_ok=True)


def read_environment(environment: MutableMapping[str, str], data_dir: Path | None = None) -> None:
    """Fills in what a running `up` wrote. Not where DELIVERY_DATABASE_URL is set: keys and ports of the stack on this
    laptop have no business with another database; nor its token with another API."""
    if environment.get(DATABASE_URL):
        return
    try:
        lines = _file(data_dir or data_dir_in(environment)).read_text().splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        raise CommandError(f"cannot read {error.filename}: {error.strerror}") from error
    kept = {API_TOKEN} if environment.get(API_URL) else set()
    for line in lines:
        name, separator, value = line.partition("=")
        if separator and name.startswith(_PREFIX) and name not in kept and not environment.get(name):
            environment[name] = value


def _file(data_dir: Path) -> Path:
    return data_dir / "env"
