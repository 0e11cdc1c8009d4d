"""What the tables' state says after a known load."""

import pytest

from bench.bloat import TableState, read_database
from bench.floor_run import drive_floor, floor_database
from bench.sizes import QUICK, Sizes, chosen_sizes
from bench.stage import Stage

_ROWS = 500


def test_each_message_is_written_as_often_as_the_floor_says(stage: Stage) -> None:
    dsn = floor_database(stage, "bloat_rows")
    at_start = read_database(dsn, 0)
    turns = [drive_floor(stage, dsn, 2 * _ROWS, _ROWS, connections=2) for _ in range(2)]
    messages = sum(turn.messages for turn in turns)
    state = read_database(dsn, messages)
    assert messages == 4 * _ROWS
    tables = state.tables
    assert tables["message"].updates == 3 * messages  # sending, sent, delivered
    assert tables["attempt"].updates == 2 * messages
    assert tables["submission"].updates == tables["submission"].live_rows >= messages // 500
    assert tables["delivery_report"].updates == 0
    assert tables["delivery_report"].live_rows == tables["message"].live_rows == messages
    assert tables["message"].all_bytes > at_start.tables["message"].all_bytes
    assert state.wal_bytes > at_start.wal_bytes
    assert state.as_json()["tables"]["attempt"]["updates"] == 2 * messages


@pytest.mark.parametrize(("updates", "hot", "share"), [(4, 1, 25.0), (4, 4, 100.0), (0, 0, 100.0)])
def test_the_share_of_updates_that_stayed_in_their_page(updates: int, hot: int, share: float) -> None:
    assert TableState(0, 0, updates, hot, 0, 0, 0).hot_share == share


def test_given_sizes_take_the_place_of_the_usual() -> None:
    assert chosen_sizes(is_quick=True, is_scale=True) == QUICK
    assert chosen_sizes(is_quick=False, is_scale=False) == Sizes()
    assert chosen_sizes(is_quick=False, is_scale=True).idle_seconds == 3600
    assert chosen_sizes(is_quick=False, is_scale=True, idle_seconds=5).idle_seconds == 5
    few = chosen_sizes(is_quick=False, is_scale=False, messages=300)
    assert (few.messages, few.batch_rows) == (300, 300)
    bloat = chosen_sizes(is_quick=False, is_scale=True, bloat_messages=100_000)
    assert (bloat.bloat_messages, bloat.bloat_turn) == (100_000, 20_000)
    assert chosen_sizes(is_quick=False, is_scale=True, bloat_messages=10_000_000).bloat_turn == Sizes().bloat_turn
