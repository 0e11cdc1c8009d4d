"""Many rows in one statement: each column is a parameter that holds a JSON array.

As PostgreSQL arrays they cost more than all the rules together: psycopg writes those item by item. orjson writes a
column at once, and the server reads one as fast as the other (docs/performance.md).
"""

from collections.abc import Iterable
from typing import Any

import orjson


def rows_of(group: str = "", /, **types: str) -> str:
    """SQL for a FROM: rows whose columns have these names and types, each from the parameter of its name. In a
    statement with several such, `group` comes before the names of the parameters: `moved` makes `:moved_id`."""
    parameters = [f"{group}_{name}" if group else name for name in types]
    given = ", ".join(f"json_array_elements_text(CAST(:{parameter} AS json))" for parameter in parameters)
    typed = ", ".join(f"CAST({name} AS {type_name}) AS {name}" for name, type_name in types.items())
    return f"(SELECT {typed} FROM ROWS FROM ({given}) AS given ({', '.join(types)}))"


def column(values: Iterable[Any]) -> str:
    """The parameter for one column: UUIDs, times, texts, numbers, booleans, nulls."""
    return orjson.dumps(list(values), default=str).decode()  # default: Decimal
