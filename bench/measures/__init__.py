"""One module a measure: each takes a `Bench` and gives figures."""
