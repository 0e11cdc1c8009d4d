"""The `delivery` command: the processes, one by one or all together, and set-up."""
