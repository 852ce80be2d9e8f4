"""Tensors are small here."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="module")
def _one_thread(one_thread_of_torch: None) -> None:
    pass
