"""A model small enough to build in every test, and lines to feed it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.checkpoint import Card, Checkpoint
from models.raccoon import Architecture, Raccoon

SMALL = Architecture(
    buckets=512,
    ngram_width=16,
    linear_buckets=1024,
    weight_buckets=256,
    width=32,
    heads=2,
    inner=48,
    latent=8,
    sde_hidden=16,
    flow_hidden=16,
    head_hidden=24,
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def small_model() -> Raccoon:
    """Random weights everywhere, also where training begins with zeros."""
    model = Raccoon(SMALL).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model


@pytest.fixture
def small_checkpoint(small_model: Raccoon) -> Checkpoint:
    reference = np.linspace(0, 9, 50, dtype=np.float32)
    return Checkpoint(small_model, Card(corpus_prior=[0.125] * 8, apps=["sshd"]), reference)
