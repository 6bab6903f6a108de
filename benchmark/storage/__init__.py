"""Artifacts under the hash of what made them: written whole, verified when read, made once."""
