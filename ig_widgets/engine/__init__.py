"""Integrated Gradients on PyTorch: tensors in, frozen results out."""
