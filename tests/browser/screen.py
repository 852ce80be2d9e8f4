"""The explorer as a person finds it, in whatever host."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page, expect

SECONDS = 1000.0
MINUS = "\N{MINUS SIGN}"


class Screen:
    """The explorer as a person finds it: by role and name."""

    def __init__(self, page: Page, number: int = 0) -> None:
        self.root = page.locator(".igw").nth(number)
        # The factor of the zoom, an <output>, has that role as well.
        self.status = self.root.locator("[role=status]")
        self.overlay = self.root.get_by_role("img", name=re.compile("^attribution overlay"))
        self.cancel = self.root.get_by_role("button", name="Cancel", exact=True)

    def slider(self, name: str) -> Locator:
        return self.root.get_by_role("slider", name=name, exact=True)

    def choice(self, name: str) -> Locator:
        return self.root.get_by_role("combobox", name=name, exact=True)

    def says(self, pattern: str, seconds: float = 90) -> None:
        expect(self.status).to_have_text(re.compile(pattern), timeout=seconds * SECONDS)

    def idle(self, evaluations: str = r"\d+") -> None:
        self.says(rf"^idle · {evaluations} evaluations?")

    def pixels(self) -> np.ndarray:
        """As painted on the screen."""
        return np.asarray(Image.open(io.BytesIO(self.overlay.screenshot())).convert("RGB")).astype(float)

    def drawn(self) -> np.ndarray:
        """As drawn by the renderer, whatever is laid over it: (height, width, 3), of bytes."""
        url = self.overlay.locator("canvas").first.evaluate("canvas => canvas.toDataURL()")
        png = base64.b64decode(str(url).partition(",")[2])
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
