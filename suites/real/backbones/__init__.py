"""The backbones of the real suites: found by commit and hash, run by timm, named as in timm."""

from taskmark.suites.real.backbones.loading import expert_weights, load, names, weights_sha256
from taskmark.suites.real.backbones.text import embed_prompts, logit_scale

__all__ = [
    "embed_prompts",
    "expert_weights",
    "load",
    "logit_scale",
    "names",
    "weights_sha256",
]
