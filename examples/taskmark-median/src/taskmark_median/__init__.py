"""The coordinate-wise median of task vectors, as a plug-in for taskmark."""
