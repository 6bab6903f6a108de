"""The machine a run is on: its devices, memory and global settings, and what things cost on it."""
