"""The committed dashboards drawn without Grafana: each panel's own queries, asked of a Prometheus, on one page each.

For looking at what they show where no Grafana is at hand. `python -m grafana.preview --help` says how.
"""
