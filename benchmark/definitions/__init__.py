"""What is fixed before a run: suites, protocols, recipes, and who provides the data."""
