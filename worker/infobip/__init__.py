"""The only place that knows the words Infobip uses on the wire."""
