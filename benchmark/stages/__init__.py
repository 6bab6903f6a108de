"""The stages of a run, one file each: data, heads, experts, task vectors, rows and metrics."""
