"""Suites of your own: image folders or tables, and any model of timm or open_clip."""
