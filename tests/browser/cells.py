"""What notebooks of these tests begin with."""

from __future__ import annotations

# A picture of 48 x 64 pixels and a network of five classes, each time the same.
SMALL = """
import torch
import ig_widgets as igw

picture = torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(0))
torch.manual_seed(0)
model = torch.nn.Sequential(
    torch.nn.Conv2d(3, 8, 5), torch.nn.Tanh(), torch.nn.AdaptiveAvgPool2d(3), torch.nn.Flatten(), torch.nn.Linear(72, 5)
).eval()
"""
