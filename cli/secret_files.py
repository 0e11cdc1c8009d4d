"""Secrets in files: DELIVERY_DATABASE_URL_FILE names a file that holds DELIVERY_DATABASE_URL, and so on. Docker and
Kubernetes hand secrets over as files, which show in no list of processes and in no description of a container."""

from collections.abc import MutableMapping
from pathlib import Path

from cli.environment import BOOTSTRAP_TOKEN, DATABASE_URL, REDIS_URL, SECRET_KEYS
from cli.errors import CommandError

SECRETS = (DATABASE_URL, REDIS_URL, SECRET_KEYS, BOOTSTRAP_TOKEN)
SUFFIX = "_FILE"


def read_secret_files(environment: MutableMapping[str, str]) -> None:
    """Puts what the files hold into the environment, without the white space around it. Errors: CommandError where both
    the variable and its file are given, or the file cannot be read or is empty."""
    for name in SECRETS:
        path = environment.get(name + SUFFIX)
        if not path:
            continue
        if environment.get(name):
            raise CommandError(f"{name} and {name + SUFFIX} are both set: keep one of them")
        try:
            secret = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise CommandError(f"{name + SUFFIX} names {path}, which cannot be read: {reason}") from error
        if not secret:
            raise CommandError(f"{name + SUFFIX} names {path}, which is empty")
        environment[name] = secret
