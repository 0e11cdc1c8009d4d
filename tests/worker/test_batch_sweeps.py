"""Sweeps over steered batches: one process at a time goes over a batch."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from uuid import UUID, uuid4

from sqlalchemy import Engine, text
from sqlmodel import Session

from tests.worker.steps import wait_until_blocking
from worker.batch_sweeps import sweep


def test_nobody_else_begins_with_a_batch_before_its_chunk_is_committed(engine: Engine, session: Session) -> None:
    find = text(f"SELECT CAST('{uuid4()}' AS uuid)")
    told: list[str] = []

    def first(own: Session, _: UUID) -> None:
        is_inside.set()
        wait_until_blocking(own)
        told.append("the first is done")

    is_inside = Event()
    with ThreadPoolExecutor(1) as pool:
        sweeping = pool.submit(sweep, engine, find, first)
        assert is_inside.wait(10)
        assert sweep(engine, find, lambda *_: told.append("the second begins")) == 1
        assert sweeping.result() == 1
    assert told == ["the first is done", "the second begins"]


def test_another_batch_is_gone_over_meanwhile(engine: Engine, session: Session) -> None:
    def inner(_: Session, batch_id: UUID) -> None:
        done.append(batch_id)

    def outer(own: Session, batch_id: UUID) -> None:
        sweep(engine, text(f"SELECT CAST('{ids[1]}' AS uuid)"), inner)
        inner(own, batch_id)

    ids, done = [uuid4(), uuid4()], list[UUID]()
    assert sweep(engine, text(f"SELECT CAST('{ids[0]}' AS uuid)"), outer) == 1
    assert done == [ids[1], ids[0]]
