"""How the backbones of `mini-language` were trained; run from a checkout alone."""
