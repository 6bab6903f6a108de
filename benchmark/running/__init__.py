"""A run: planned as jobs, forecast, executed by workers, and shown as it goes."""
