"""How edited weights are read: readers, batches, precision, the search of scales."""
