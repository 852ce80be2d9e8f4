"""A real model and real photos, bundled, ready to explain, nothing downloaded (the extra `demo`)."""

from ig_widgets.demo.images import IMAGES, image
from ig_widgets.demo.models import ImageClassifier, image_classifier

__all__ = ["IMAGES", "ImageClassifier", "image", "image_classifier"]
