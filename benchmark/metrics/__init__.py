"""What is measured beside accuracy: disentanglement, negation, localisation, geometry."""
