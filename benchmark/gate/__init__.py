"""Runs compared image by image with an accepted baseline."""
