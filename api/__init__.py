"""The HTTP API: enqueue, query, configuration, Infobip webhooks. Holds no state of its own."""
