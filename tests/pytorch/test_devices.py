"""Where PyTorch computes, and with how many digits; what a machine does not have is refused in a sentence."""

import pytest
import torch

from chainrule.pytorch import choose_device, nn, placed
from chainrule.pytorch.devices import autocast


def test_auto_is_what_there_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_every_process_of_torchrun_takes_its_own_gpu(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert choose_device(name) == torch.device("cuda:0")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert choose_device(name) == torch.device("cuda:3")
    assert choose_device("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize("name", ["cuda", "cuda:7", "tpu"])
def test_a_device_that_is_not_there_is_refused_with_what_is(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match=rf"device is '{name}'; PyTorch .* finds cpu.* on this machine"):
        choose_device(name)


@pytest.mark.parametrize(("amp", "dtype"), [("none", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_products_have_the_digits_asked_for(amp, dtype):
    x = torch.ones(2, 2)
    with autocast(torch.device("cpu"), amp)():
        assert (x @ x).dtype == dtype


def test_bf16_is_refused_on_a_gpu_without_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "an old one")
    with pytest.raises(ValueError, match="amp = bf16: an old one has no bfloat16; use fp16"):
        autocast(torch.device("cuda:0"), "bf16")


def test_filters_lie_channels_last_where_that_is_wanted():
    for wanted in (True, False):
        weight = placed(nn.Sequential(nn.Conv2d(3, 4, 3)), torch.device("cpu"), channels_last=wanted)[0].weight
        assert weight.is_contiguous(memory_format=torch.channels_last) == wanted
