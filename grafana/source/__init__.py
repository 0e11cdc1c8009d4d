"""The dashboards as code: each module but `panels` and `frame` is one dashboard. `make dashboards` writes them."""
