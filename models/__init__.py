"""Tensors to tensors: the Raccoon classifier and what it is made of."""
