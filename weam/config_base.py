"""What the models of the configuration have in common."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic
from pydantic import Field

Objective = Literal["mlm", "tlm", "word_align", "weam"]
PATH_PART = r"^[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*$"
Name = Annotated[str, Field(pattern=PATH_PART)]
"""Part of a path: not only dots."""
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")]
Seed = Annotated[int, Field(ge=0)]


class Model(pydantic.BaseModel):
    """Closed and immutable: an unknown key is an error."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)


class Seeds(Model):
    """A table cell is the mean over all pairs of one seed from each list."""

    pretrain: list[Seed] = Field(
        default_factory=lambda: [1], min_length=1, description="seeds of continued pre-training"
    )
    finetune: list[Seed] = Field(default_factory=lambda: [1], min_length=1, description="seeds of fine-tuning")
