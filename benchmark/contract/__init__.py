"""What a method and a recipe are, and what they are given: the public contract."""
