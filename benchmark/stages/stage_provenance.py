"""The provenance of a record, from what a stage knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.records.provenance import provenance
from taskmark.store.recording import current_account

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmark.engine.stage_store import StageStore
    from taskmark.inference.passes import Passes
    from taskmark.records.envelope import Provenance


def stage_provenance(
    store: StageStore, passes: Passes, resolved: Mapping[str, str] | None
) -> Provenance:
    """Where and by what a record is made, now.

    Args:
        store: of the run.
        passes: how items were passed.
        resolved: hashes that the run found where the suite leaves them open.
    """
    return provenance(
        device=store.device,
        dtype=passes.dtype_name,
        batch_size=passes.batch_size,
        notes=current_account().notes,
        resolved=resolved,
    )
