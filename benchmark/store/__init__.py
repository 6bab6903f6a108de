"""Artifacts under the hash of what made them, written atomically and verified when read."""
