"""Papers: their protocols as data, run here, and their figures beside those measured."""
