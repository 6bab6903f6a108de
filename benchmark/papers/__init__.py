"""Papers: their protocols as data, runs of them, and their figures compared with those measured."""
