"""A small study on the digits: two networks at two learning rates, with two seeds."""

import pytest

TOML = """
question = "Does a small rate learn less?"
seeds = 2

[base]
model = "fully-connected"
hidden_dims = [8]
data = "digits"
limit = 60
epochs = 2
batch_size = 20

[grid]
lr = [0.001, 0.02]
normalization = ["none", "batch"]
"""


@pytest.fixture
def small(tmp_path):
    """Path of its file, which a test may change."""
    path = tmp_path / "small.toml"
    path.write_text(TOML)
    return path
