"""The real suites: the tasks and the backbones of the field, from the hub."""
