"""How edited weights are read: on images, over scales, until one of them is chosen."""
