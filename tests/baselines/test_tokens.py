"""Texts without words: ids, and embeddings."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

import ig_widgets as igw
from ig_widgets import baselines, errors

PAD, CLS, SEP, MASK, WORDS, DIMS = 0, 1, 2, 3, 12, 5
IDS = torch.tensor([[CLS, 7, 8, 9, SEP, PAD], [CLS, 4, SEP, PAD, PAD, PAD]])


def draw(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Reader(nn.Module):
    """Token ids (batch, tokens), or their embeddings, to two scores."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, DIMS, dtype=torch.float64)
        self.embedding.weight.data = draw(0, WORDS, DIMS)
        self.mix, self.out = draw(1, DIMS, DIMS), draw(2, DIMS, 2)

    def of_embeddings(self, embedded):
        return torch.tanh(embedded @ self.mix).mean(1) @ self.out

    def forward(self, ids):
        return self.of_embeddings(self.embedding(ids))


# ---------------------------------------------------------------- ids


def test_each_token_is_replaced_but_those_kept():
    assert (baselines.token(PAD)(IDS) == PAD).all()
    made = baselines.token(MASK, keep=(CLS, SEP, PAD))(IDS)
    expected = [[CLS, MASK, MASK, MASK, SEP, PAD], [CLS, MASK, SEP, PAD, PAD, PAD]]
    assert made.tolist() == expected
    assert made.dtype == IDS.dtype


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_a_mask_keeps_places_instead_of_ids(dtype):
    ids = IDS.to(dtype)
    first = [True, False, False, False, False, False]
    assert baselines.token(MASK, keep=first)(ids).tolist() == [[CLS, *[MASK] * 5]] * 2
    each = (IDS == CLS) | (IDS == SEP)
    made = baselines.token(PAD, keep=each)(ids)
    assert torch.equal(made, baselines.token(PAD, keep=(CLS, SEP))(ids))
    assert made.dtype == dtype


def test_attribution_to_the_embedding_starts_where_the_token_is():
    """By hand: the embeddings of both texts, as inputs."""
    model = Reader()
    baseline = baselines.token(MASK, keep=(CLS, SEP))
    options = {"target": 1, "method": "gausslegendre", "n_steps": 12}
    result = igw.attribute(model, IDS, baselines=baseline, layer=model.embedding, **options)
    expected = igw.attribute(
        model.of_embeddings,
        model.embedding(IDS).detach(),
        baselines=model.embedding(baseline(IDS)).detach(),
        **options,
    )
    assert result.attributions.shape == (*IDS.shape, DIMS)
    assert (result.attributions - expected.attributions).abs().max() < 1e-12
    kept = (IDS == CLS) | (IDS == SEP)
    assert (result.attributions[kept] == 0).all()
    assert (result.attributions[~kept].abs().sum(-1) > 1e-6).all()


def test_token_is_a_frozen_value():
    forms = [(CLS, SEP), [SEP, CLS], {CLS, SEP}, torch.tensor([SEP, CLS]), np.array([CLS, SEP])]
    made = {baselines.token(MASK, keep=keep) for keep in forms}
    assert len(made) == 1
    masks = [(True, False), torch.tensor([True, False]), np.array([True, False])]
    assert len({baselines.token(MASK, keep=mask) for mask in masks}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.pop().id = 4


@pytest.mark.parametrize(
    ("make", "message", "kind"),
    [
        (lambda: baselines.token("pad"), "id must be the integer id of a token, got 'pad'", errors.ArgumentTypeError),
        (lambda: baselines.token(True), "id must be the integer id", errors.ArgumentTypeError),
        (lambda: baselines.token(-1), "id must be the id of a token, from 0, got -1", errors.ArgumentValueError),
        (lambda: baselines.token(0, keep="CLS"), "keep must be ids of tokens, or a mask", errors.ArgumentTypeError),
        (lambda: baselines.token(0, keep=1), "keep must be ids", errors.ArgumentTypeError),
        (lambda: baselines.token(0, keep=(1, True)), "keep must be ids", errors.ArgumentTypeError),
        (lambda: baselines.token(0, keep=((True,), True)), "keep must be ids", errors.ArgumentTypeError),
        (lambda: baselines.token(0)(torch.zeros(1, 2)), "igw.baselines.token is given torch.float32 and takes token "
         "ids.*igw.baselines.embedding", errors.ArgumentTypeError),
        (lambda: baselines.token(0)((IDS,)), "igw.baselines.token is given tuple", errors.ArgumentTypeError),
        (lambda: baselines.token(0, keep=[True, False])(IDS), r"keep is a mask that does not fit \(2, 6\)",
         errors.ArgumentValueError),
        (lambda: baselines.token(0, keep=[[True, False], [True]])(IDS), "keep is a mask that does not fit",
         errors.ArgumentValueError),
        (lambda: baselines.embedding(keep=(1, 2)), "keep must be a mask of booleans", errors.ArgumentTypeError),
        (lambda: baselines.embedding(torch.zeros(2, 2)), "vector must be a floating tensor", errors.ArgumentTypeError),
        (lambda: baselines.embedding([0.0]), "vector must be a floating tensor", errors.ArgumentTypeError),
        (lambda: baselines.embedding()(IDS), "igw.baselines.embedding takes embeddings.*igw.baselines.token",
         errors.ArgumentTypeError),
        (lambda: baselines.embedding(torch.ones(4))(torch.ones(1, 2, 3)), "vector has 4 numbers, the embeddings 3",
         errors.ArgumentValueError),
        (lambda: baselines.embedding.mean(nn.Linear(2, 2)), "table must be an nn.Embedding", errors.ArgumentTypeError),
        (lambda: baselines.embedding.row(torch.ones(4, 3), 4), "id must lie from 0 to 3", errors.ArgumentValueError),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_a_sentence(make, message, kind):
    with pytest.raises(kind, match=f"^{message}") as caught:
        make()
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- embeddings


def test_one_embedding_in_each_place():
    model = Reader()
    embedded, weights = model.embedding(IDS).detach(), model.embedding.weight.detach()
    for baseline, vector in (
        (baselines.embedding(), torch.zeros(DIMS)),
        (baselines.embedding(draw(5, DIMS)), draw(5, DIMS)),
        (baselines.embedding.mean(model.embedding), sum(weights) / WORDS),
        (baselines.embedding.mean(weights), sum(weights) / WORDS),
        (baselines.embedding.row(model.embedding, MASK), weights[MASK]),
    ):
        made = baseline(embedded)
        assert made.shape == embedded.shape
        assert made.dtype == embedded.dtype
        assert (made - vector).abs().max() < 1e-15
        made.zero_()
    assert torch.equal(embedded, model.embedding(IDS))


def test_a_row_of_the_table_is_what_the_token_makes():
    """Both ways to say the same: ids at a layer, embeddings as inputs."""
    model = Reader()
    kept = (IDS == CLS) | (IDS == SEP)
    by_id = model.embedding(baselines.token(MASK, keep=kept)(IDS))
    by_row = baselines.embedding.row(model.embedding, MASK, keep=kept)(model.embedding(IDS).detach())
    assert torch.equal(by_id, by_row)


def test_embeddings_of_the_table_are_copied():
    table = draw(0, WORDS, DIMS)
    baseline = baselines.embedding.row(table, MASK)
    expected = table[MASK].clone()
    table.zero_()
    assert torch.equal(baseline(torch.zeros(1, 1, DIMS, dtype=torch.float64))[0, 0], expected)
    assert hash(baseline) == hash(baseline)
    assert baseline == baseline
    assert repr(baseline) == "embedding('embedding of token 3')"
    with pytest.raises(dataclasses.FrozenInstanceError):
        baseline.vector = None
