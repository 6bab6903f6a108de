"""The embedded suite of language: generated tasks, a small transformer, heads without classes."""
