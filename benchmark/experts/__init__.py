"""Experts, tuned here or brought along: their task vectors, and how good they are."""
