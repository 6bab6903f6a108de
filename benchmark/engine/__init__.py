"""Running a graph of stages: locally, with progress."""
