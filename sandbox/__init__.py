"""A stand-in Infobip over real HTTP, for the demo, the tests and the benches.

Start it with `python -m sandbox` or `sandbox.server.run(...)`. It imports nothing of the product and keeps everything
in memory: one process, one account. It answers the calls of Infobip's API that we use, pushes delivery reports and
inbound messages to the webhook URLs it is given, and has its own calls under `/sandbox/*` to look inside, to be a
handset that writes, and to make trouble.

How to get a given behaviour:

- The last four digits of a recipient choose what becomes of a message: see `outcomes.py`.
- The API key chooses account trouble. `Authorization: App <key>` with any key is good, except one that starts with
  `revoked` (401), `unscoped` (403) or `nocredit` (200, and every message refused with status 12,
  REJECTED_NOT_ENOUGH_CREDITS). Another scheme than `App`, or none, is 401.
- `PUT /sandbox/faults` makes a share of calls or reports go wrong: see `faults.py`.
- `POST /sandbox/outage` closes the port for a while.

Where Infobip's documents are silent, the sandbox takes the stricter reading, so that a mistake shows here. Known
simplifications: it speaks JSON only, ignores `deliveryTimeWindow` and `sendingSpeedLimit` once they are well formed,
and never lets a message expire. Delivery reports go to `webhooks.delivery.url`; without one they wait for the pull.
An MMS never becomes the SMS of its `smsFailover`, its links are not followed, and each member of a group is a recipient
like any other. Numbers have no keywords of their own: an inbound message is never split into one and the rest.
"""
