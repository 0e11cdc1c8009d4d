"""Reason codes of ours. Where a message's `reason` is none of them, it is the name of an Infobip status or error.

What each means for a person: sentences.py.
"""

VALIDITY_OVER = "validity_over"
WINDOW_CLOSED = "window_closed"
REFUSED = "refused_by_infobip"
NO_REPORT = "no_final_report"
NOT_SENT = "connection_failed"
UNKNOWN_FATE = "unknown_fate"
TOO_MANY_REQUESTS = "too_many_requests"
CREDENTIAL_REFUSED = "credential_refused"
BATCH_CANCELLED = "batch_cancelled"
SOURCE_DELIVERED = "source_delivered"
DELIVERED_LATE = "delivered_late"
ACCOUNT_CHANGED = "account_changed"
OPTED_OUT = "opted_out"
NOT_OPTED_IN = "not_opted_in"
NUMBER_BLOCKED = "number_blocked"
FALLBACK = "fallback"
