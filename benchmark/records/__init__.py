"""The records of a run, and the catalogue of what a run used."""
