import time

import httpx
import pytest
from sqlmodel import Session, select

from worker.models import ApiToken
from worker.tokens import PREFIX, create_token, find_token
from worker.words import Scope


def with_token(api: httpx.Client, bare: str) -> httpx.Client:
    return httpx.Client(base_url=api.base_url, headers={"Authorization": f"Bearer {bare}"}, timeout=30)


def test_token_is_stored_as_hash_only_and_found_by_its_bare_form(api: httpx.Client, session: Session) -> None:
    bare = create_token(session, "journeys", ["send"])
    row = session.exec(select(ApiToken)).one()
    assert bare.startswith(PREFIX)
    assert bare.encode() not in row.token_hash
    found = find_token(session, bare)
    assert found is not None
    assert found.id == row.id


def test_create_token_commits(api: httpx.Client, session: Session, engine) -> None:
    bare = create_token(session, "journeys", ["send"])
    with Session(engine) as another:
        assert find_token(another, bare) is not None


@pytest.mark.parametrize("scopes", [[], ["sends"], ["read", "everything"]])
def test_token_without_a_known_scope_is_refused(api: httpx.Client, session: Session, scopes: list[str]) -> None:
    with pytest.raises(ValueError):
        create_token(session, "journeys", scopes)


def test_scope_that_is_missing_is_403_and_named(api: httpx.Client, session: Session) -> None:
    with with_token(api, create_token(session, "reader", [Scope.READ])) as reader:
        answer = reader.post("/v1/batches", json={})
        assert answer.status_code == 403
        assert '"send"' in answer.json()["detail"]
        assert reader.get("/v1/batches").status_code == 200


def test_admin_implies_every_scope(api: httpx.Client, session: Session) -> None:
    with with_token(api, create_token(session, "root", [Scope.ADMIN])) as admin:
        assert admin.get("/v1/batches").status_code == 200
        assert admin.post("/v1/batches", json={}).status_code == 422


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer", "Basic abc", "wrong", "Bearer d\u00e9j\u00e0"])
def test_wrong_credentials_are_401(stranger: httpx.Client, header: str) -> None:
    answer = stranger.get("/v1/batches", headers={"Authorization": header.encode("utf-8")})
    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers


def test_revoked_token_stops_working_within_seconds(api: httpx.Client, session: Session) -> None:
    bare = create_token(session, "leaver", [Scope.READ])
    with with_token(api, bare) as leaver:
        assert leaver.get("/v1/batches").status_code == 200
        row = session.exec(select(ApiToken)).one()
        row.revoked_at = row.created_at
        session.commit()
        until = time.monotonic() + 5
        while leaver.get("/v1/batches").status_code == 200:
            assert time.monotonic() < until
            time.sleep(0.2)
        assert leaver.get("/v1/batches").status_code == 401


def test_webhook_urls_are_shown_to_admin_only(api: httpx.Client, session: Session, make_credential) -> None:
    credential = make_credential()
    assert credential["webhook_urls"]["reports"].startswith(
        f"https://delivery.example/webhooks/infobip/{credential['id']}/"
    )
    with with_token(api, create_token(session, "reader", [Scope.READ])) as reader:
        assert reader.get("/v1/credentials/main").json()["webhook_urls"] is None
        assert reader.get("/v1/credentials").json()["items"][0]["webhook_urls"] is None
