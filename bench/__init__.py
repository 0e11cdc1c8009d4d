"""How fast the product is, measured beside its rivals in one run: `python -m bench`, `python -m bench --scale`."""
