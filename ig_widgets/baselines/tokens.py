"""Baselines of texts: ids of a neutral token, or its embedding in each place.

`token` where the input is ids and attribution is to the embedding (`attribute(..., layer=model.embedding)`),
`embedding` where the input is embeddings. Sundararajan, Taly, Yan (2017), section 5, take the zero embedding. A padding
or mask token is one that the model was trained to make nothing of; none of them is a text.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from ig_widgets.baselines.base import Baseline
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError

Mask: TypeAlias = tuple[bool, ...] | tuple[tuple[bool, ...], ...]
Table: TypeAlias = nn.Embedding | Tensor


@dataclass(frozen=True)
class token(Baseline):  # noqa: N801
    """The token `id` in each place, but where a token to `keep` stands: padding, say, or the mask.

    `keep`: ids that stay wherever they are (of [CLS], [SEP]), or a mask of booleans (tokens,) or (batch, tokens), true
    where the token stays. What stays is attributed nothing. Raises ArgumentTypeError, ArgumentValueError.
    """

    id: int
    keep: Any = ()

    space: ClassVar[Literal["pictures", "inputs", "any"]] = "inputs"

    def __post_init__(self) -> None:
        if isinstance(self.id, bool) or not isinstance(self.id, Integral):
            raise ArgumentTypeError(f"id must be the integer id of a token, got {self.id!r}.")
        if self.id < 0:
            raise ArgumentValueError(f"id must be the id of a token, from 0, got {self.id}.")
        object.__setattr__(self, "keep", _mask_or_ids(self.keep))

    def __call__(self, ids: Tensor) -> Tensor:
        """The baseline of `ids`, integers (batch, tokens). Raises ArgumentTypeError, ArgumentValueError."""
        if not isinstance(ids, Tensor) or ids.is_floating_point() or ids.dtype == torch.bool:
            seen = str(ids.dtype) if isinstance(ids, Tensor) else type(ids).__name__
            raise ArgumentTypeError(
                f"igw.baselines.token is given {seen} and takes token ids, a tensor of integers (batch, tokens); for "
                f"embeddings use igw.baselines.embedding.row(table, id)."
            )
        if _is_mask(self.keep):
            kept = _like_tokens(self.keep, ids)
        else:
            kept = torch.isin(ids, torch.tensor(self.keep, dtype=ids.dtype, device=ids.device))
        return torch.where(kept, ids, torch.full_like(ids, int(self.id)))

    def describe(self) -> str:
        """Which token."""
        return f"token {self.id} in each place{', some kept' if self.keep else ''}"


@dataclass(frozen=True, eq=False)
class embedding(Baseline):  # noqa: N801
    """One `vector` (dims,) in each place, None for zeros, but where the embedding stays: `keep`.

    `keep`: a mask of booleans (tokens,) or (batch, tokens), true where it stays; which token an embedding was cannot be
    seen. What stays is attributed nothing. Raises ArgumentTypeError, ArgumentValueError.
    """

    vector: Tensor | None = None
    keep: Any = ()
    name: str = ""

    space: ClassVar[Literal["pictures", "inputs", "any"]] = "inputs"

    def __post_init__(self) -> None:
        if self.vector is not None:
            if not isinstance(self.vector, Tensor) or not self.vector.is_floating_point() or self.vector.dim() != 1:
                raise ArgumentTypeError(f"vector must be a floating tensor (dims,) or None, got {_seen(self.vector)}.")
            object.__setattr__(self, "vector", self.vector.detach().clone())
        if not self.name:
            object.__setattr__(self, "name", "zero embedding" if self.vector is None else "given embedding")
        object.__setattr__(self, "keep", keep := _mask_or_ids(self.keep))
        if keep and not _is_mask(keep):
            raise ArgumentTypeError(f"keep must be a mask of booleans, since embeddings have no ids, got {keep}.")

    @classmethod
    def mean(cls, table: Table, keep: object = ()) -> embedding:
        """The mean of the embedding `table`, a module or a tensor (vocabulary, dims): the mean of all tokens."""
        return cls(_weights(table).cpu().double().mean(0), keep, "mean embedding")

    @classmethod
    def row(cls, table: Table, id: int, keep: object = ()) -> embedding:  # noqa: A002  (as in `token`)
        """The embedding of the token `id`, of padding say, without a position. Raises ArgumentValueError."""
        weights = _weights(table)
        if not 0 <= token(id).id < len(weights):
            raise ArgumentValueError(f"id must lie from 0 to {len(weights) - 1}, the rows of the table, got {id}.")
        return cls(weights[int(id)], keep, f"embedding of token {id}")

    def __repr__(self) -> str:
        return f"embedding({self.name!r})"

    def __call__(self, embeddings: Tensor) -> Tensor:
        """The baseline of `embeddings` (batch, tokens, dims). Raises ArgumentTypeError, ArgumentValueError."""
        if not isinstance(embeddings, Tensor) or not embeddings.is_floating_point() or embeddings.dim() != 3:
            raise ArgumentTypeError(
                f"igw.baselines.embedding takes embeddings, a floating tensor (batch, tokens, dims), got "
                f"{_seen(embeddings)}; for token ids use igw.baselines.token(id)."
            )
        vector = embeddings.new_zeros(()) if self.vector is None else self.vector.to(embeddings)
        if vector.dim() and len(vector) != embeddings.shape[-1]:
            raise ArgumentValueError(
                f"vector has {len(vector)} numbers, the embeddings {embeddings.shape[-1]}; give one of that size."
            )
        made = vector.expand_as(embeddings)
        if not self.keep:
            return made.clone()
        return torch.where(_like_tokens(self.keep, embeddings[..., 0])[..., None], embeddings, made)

    def describe(self) -> str:
        """Which embedding."""
        return f"{self.name}{', some kept' if self.keep else ''}"


def _weights(table: object) -> Tensor:
    weights = table.weight if isinstance(table, nn.Embedding) else table
    if not isinstance(weights, Tensor) or weights.dim() != 2 or not weights.is_floating_point():
        raise ArgumentTypeError(
            f"table must be an nn.Embedding or a floating tensor (vocabulary, dims), got {_seen(table)}."
        )
    return weights.detach()


def _mask_or_ids(keep: object) -> tuple[int, ...] | Mask:
    """As tuples, so that baselines can be compared: of ids, or of booleans."""
    given = keep.tolist() if isinstance(keep, Tensor | np.ndarray) else keep
    if isinstance(given, Sequence | Set) and not isinstance(given, str):
        members: tuple[Any, ...] = tuple(tuple(m) if isinstance(m, Sequence) else m for m in given)
        if _is_mask(members):
            return members
        if all(isinstance(m, Integral) and not isinstance(m, bool) for m in members):
            return tuple(sorted(int(m) for m in members))
    raise ArgumentTypeError(
        f"keep must be ids of tokens, or a mask of booleans (tokens,) or (batch, tokens), got {_seen(keep)}."
    )


def _is_mask(members: tuple[Any, ...]) -> bool:
    rows = members if all(isinstance(row, tuple) for row in members) else (members,)
    return bool(members) and all(isinstance(member, bool) for row in rows for member in row)


def _like_tokens(mask: object, tokens: Tensor) -> Tensor:
    """The mask in the shape of `tokens` (batch, tokens). Raises ArgumentValueError where it does not fit."""
    try:
        made = torch.tensor(mask, device=tokens.device)
        return made.expand(tokens.shape)
    except (RuntimeError, ValueError):
        raise ArgumentValueError(
            f"keep is a mask that does not fit {tuple(tokens.shape)}, (batch, tokens); give one for each token, or for "
            f"each token of each example."
        ) from None


def _seen(given: object) -> str:
    return f"{tuple(given.shape)} {given.dtype}" if isinstance(given, Tensor) else repr(given)[:80]
