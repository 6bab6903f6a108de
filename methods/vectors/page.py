"""Write the page of definitions anew: `python -m taskmark.methods.vectors.page`."""

from __future__ import annotations

from pathlib import Path

from taskmark.methods.vectors import PAGE, page

if __name__ == "__main__":
    Path(__file__).with_name(PAGE).write_text(page(), "utf-8")
