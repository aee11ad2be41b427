from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy, dropout, linear

from badx_hub.modeling import fast


def test_switched_off_all_is_torchs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fast.SWITCH, "0")
    monkeypatch.setattr(fast, "_decoder_loss", None)
    monkeypatch.setattr(fast, "_dropout", None)
    hidden, weight, bias = torch.randn(3, 4, requires_grad=True), torch.randn(9, 4), torch.randn(9)
    labels = torch.tensor([0, 8, 3])
    expected = cross_entropy(linear(hidden, weight, bias), labels, reduction="sum")
    assert torch.equal(fast.decoder_loss(hidden, weight, bias, labels), expected)
    torch.manual_seed(1)
    plain = dropout(hidden, 0.5)
    torch.manual_seed(1)
    with fast.cheap_dropout(torch.device("cpu")):
        assert torch.equal(dropout(hidden, 0.5), plain)


def test_the_switch_is_on_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(fast.SWITCH, raising=False)
    ones = torch.ones(64)
    torch.manual_seed(1)
    plain = dropout(ones, 0.5)
    torch.manual_seed(1)
    with fast.cheap_dropout(torch.device("cpu")):
        assert not torch.equal(dropout(ones, 0.5), plain)
