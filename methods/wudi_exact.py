"""WUDI-Merging taken to the minimum of its loss, whatever the length of the task vectors."""

from __future__ import annotations

from typing import Literal

from taskmark.methods.wudi import Wudi


class WudiExact(Wudi):
    """Move the sum of task vectors all the way to where it interferes least with each.

    The minimum of the loss of `wudi` in closed form, where that method goes a way of fixed length
    towards it. The two agree where the task vectors are short beside that way, as those of CLIP
    are; the row is here because elsewhere the method would be judged by its step size.
    """

    name = "wudi_exact"

    solver: Literal["adam", "exact"] = "exact"
