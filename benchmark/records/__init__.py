"""The records of a run, and the catalogue beside them."""
