"""The data of the real suites: fetched by commit, decoded once, memory-mapped."""
