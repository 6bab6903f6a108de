"""The machine a run is on: its devices, memory and switches, and what things cost on it."""
