import json

import pytest

from chainrule.nn import Linear

SMALL = ["--image", "1", "3", "2", "--hidden", "5"]


def test_a_network_is_proven_against_differences_and_pytorch(chainrule):
    ended = chainrule("verify", "fully-connected", *SMALL, "--normalization", "batch")
    assert ended.code == 0, ended.out
    assert "numerical gradient" in ended.out
    assert "parity with PyTorch" in ended.out
    assert "50 steps of Adam" in ended.out
    assert "checks passed" in ended.out


CONVOLUTIONAL = {
    "three-layer-convnet": ["--filters", "3", "--kernel-size", "3", "--hidden", "5", "--image", "2", "4", "4"],
    "convnet": ["--channels", "3", "4", "--normalization", "batch", "--dropout", "0.2", "--image", "2", "4", "4"],
    "resnet": ["--blocks", "1", "1", "--width", "2", "--image", "2", "4", "4"],
    "speedrun": ["--widths", "5", "--image", "1", "7", "8"],
}


@pytest.mark.parametrize(("model", "args"), CONVOLUTIONAL.items(), ids=CONVOLUTIONAL)
def test_convolutional_networks_are_proven_too(chainrule, model, args):
    ended = chainrule("verify", model, *args, "--batch-size", "3", "--json")
    assert ended.code == 0, ended.out + ended.err
    rows = json.loads(ended.out)
    assert [row["what"] for row in rows if row["fault"]] == []
    names = {row["what"] for row in rows}
    assert "50 steps of AdamW" in names
    assert any("Conv2d dx" in name for name in names)


def test_what_is_frozen_is_no_part_of_the_proof_and_sizes_are_small_unless_given(chainrule, monkeypatch):
    monkeypatch.setattr("chainrule.cli.verify._parity", lambda *args: [])
    ended = chainrule("verify", "speedrun", "--batch-size", "2")
    assert ended.code == 0, ended.out + ended.err
    assert ended.out.startswith("speedrun: image = (3, 13, 13), classes = 10, widths = (8, 12)")
    assert "│ 0 Conv2d dbias" in ended.out
    assert "│ 0 Conv2d dweight" not in ended.out


def test_its_json_has_every_error_and_what_was_allowed(chainrule):
    rows = json.loads(chainrule("verify", "two-layer", *SMALL, "--json").out)
    assert {"1 Linear dx", "1 Linear dweight", "1 Linear dbias"} <= {row["what"] for row in rows}
    for row in rows:
        assert row["fault"] is None
        assert row["error"] <= row["tolerance"]


def test_a_wrong_gradient_is_found_and_the_status_says_so(chainrule, monkeypatch):
    right = Linear.backward

    def wrong(self, dout):
        dx = right(self, dout)
        self.bias.grad *= 2
        return dx

    monkeypatch.setattr(Linear, "backward", wrong)
    ended = chainrule("verify", "two-layer", *SMALL)
    assert ended.code == 1
    assert "dbias" in ended.out
    assert "checks failed" in ended.out


def test_without_torch_the_gradients_are_checked_all_the_same(chainrule, monkeypatch):
    import sys

    for name in [name for name in sys.modules if name.startswith("chainrule.pytorch")]:
        monkeypatch.delitem(sys.modules, name)
    import chainrule as package

    monkeypatch.delattr(package, "pytorch", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    ended = chainrule("verify", "two-layer", *SMALL)
    assert ended.code == 0, ended.out + ended.err
    assert "pip install chainrule[torch]" in ended.out
    last = ended.out.splitlines()[-1]
    assert last == "8 checks passed; parity with PyTorch not compared (pip install chainrule[torch])"


@pytest.mark.parametrize(
    ("args", "message"), [(["nosuch"], "there is no model 'nosuch'"), (["mlp", "--dropout", "2"], "Dropout: p is 2.0")]
)
def test_a_wrong_network_is_an_error(chainrule, args, message):
    ended = chainrule("verify", *args)
    assert ended.code == 1
    assert message in ended.err
