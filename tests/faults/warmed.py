"""What the process that all trials are forked from does first: a run, so that theirs are short."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import torch
from trials import SUITE, Trial

from taskmark.engine.run import run

torch.set_num_threads(1)
with tempfile.TemporaryDirectory() as name:
    run(Trial(Path(name), Path(os.environ[SUITE]), ("hills", "lakes")).config())
