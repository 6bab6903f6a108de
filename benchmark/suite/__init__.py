"""The schema of a suite: tasks, models, protocol, provider."""
