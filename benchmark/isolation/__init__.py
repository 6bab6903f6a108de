"""Plug-ins in processes of their own, where test data is out of their reach."""
