"""Steering a batch: what a verb takes beside the batch."""

from typing import Annotated

from pydantic import Field

from api.fields import Body, Moment, Period


class RescheduleIn(Body):
    send_at: Annotated[Moment, Field(description="The new start. At most 180 days ahead; the past means now.")]
    validity_period: Annotated[
        Period | None, Field(description="ISO 8601, PT10S to PT48H, from send_at on. Unless given, as before.")
    ] = None
