"""Photos that scikit-image ships."""

from __future__ import annotations

from PIL import Image

# Those that are in its wheel, and what EfficientNet-Lite0 has a class for or a telling opinion on.
IMAGES = ("cat", "coffee", "rocket", "astronaut", "retina")


def image(name: str = "cat") -> Image.Image:
    """A photo, RGB. Raises ValueError for an unknown name, ImportError without the extra `demo`."""
    if name not in IMAGES:
        raise ValueError(f"name={name!r} is not a bundled photo; use one of {', '.join(IMAGES)}.")
    try:
        from skimage import data
    except ImportError as error:
        raise ImportError("The demo photos need scikit-image: pip install 'ig_widgets[demo]'.") from error
    return Image.fromarray(getattr(data, name)())
