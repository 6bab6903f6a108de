"""The backbones of the real suites: found by commit and hash, run by timm, named as in timm."""
