import json

import pytest


def test_a_network_is_shown_layer_by_layer(chainrule):
    out = chainrule("summary", "fully-connected", "--hidden", "512", "256", "--normalization", "batch").out
    assert "(100, 3072)" in out
    assert "1,573,376" in out  # 3072 * 512 + 512
    assert "1,708,810" in out  # all
    assert "903.9 KiB" in out  # (512 + 512 + 512 + 256 + 256 + 256 + 10) * 100 * 4 bytes


def test_its_json_has_numbers(chainrule):
    rows = json.loads(
        chainrule("summary", "two-layer", "--hidden", "7", "--image", "1", "2", "3", "--classes", "4", "--batch-size", "5", "--json").out
    )
    assert [row["layer"] for row in rows] == ["Flatten", "Linear", "ReLU", "Linear"]
    assert [row["parameters"] for row in rows] == [0, 6 * 7 + 7, 0, 7 * 4 + 4]
    assert rows[1]["operations"] == 5 * 7 * (2 * 6 + 1)
    assert [row["activation_bytes"] for row in rows] == [0, 5 * 7 * 4, 5 * 7 * 4, 5 * 4 * 4]
    assert rows[3]["shape"] == [5, 4]


def test_a_convolutional_network_is_shown_with_the_work_of_its_filters(chainrule):
    args = ["three-layer-convnet", "--filters", "5", "--kernel-size", "3", "--hidden", "7", "--image", "2", "8", "6"]
    rows = json.loads(chainrule("summary", *args, "--batch-size", "4", "--json").out)
    assert [row["layer"] for row in rows] == ["Conv2d", "ReLU", "MaxPool2d", "Flatten", "Linear", "ReLU", "Linear"]
    assert rows[0]["shape"] == [4, 5, 8, 6]
    assert rows[0]["parameters"] == 5 * 2 * 3 * 3 + 5
    assert rows[0]["operations"] == 4 * 5 * 48 * (2 * 2 * 9 + 1)


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["convnet", "--image", "3", "4", "4"], 1, "convnet: images of 4 x 4 can be halved 2 times, and there are 3 blocks"),
        (["speedrun", "--image", "3", "8", "8"], 1, "they must be at least 25 x 25: give fewer widths"),
        (["fully-connected", "--normalization", "group"], 1, "normalization is 'group'; it must be one of batch, layer"),
        (["two-layer", "--bottleneck"], 1, "two-layer has no argument 'bottleneck'"),
        (["two-layr"], 1, "there is no model 'two-layr' (did you mean two-layer?)"),
        (["mlp", "--image", "0", "8", "8"], 1, "Linear: in_features is 0; it must be at least 1"),
        (["mlp", "--batch-size", "0"], 2, "--batch-size"),
        ([], 2, "Missing argument"),
    ],
)
def test_a_wrong_network_is_an_error(chainrule, args, code, message):
    ended = chainrule("summary", *args)
    assert ended.code == code
    assert message in ended.err
