"""The guide's Python runs as it stands, from top to bottom, on a real network and a real photograph."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

GUIDE = Path(__file__).parents[2] / "docs" / "looking-inside.md"


@pytest.mark.real_data
def test_its_python_runs(tmp_path, monkeypatch, capsys, shared_data):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "squeezenet1_1.pth").symlink_to(shared_data / "squeezenet1_1-deepscale.pth")
    with np.load(shared_data / "imagenet_val_25.npz") as file:
        Image.fromarray(file["X"][0]).save("photo.jpg", quality=95)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL):
        exec(block, names)
    printed = capsys.readouterr().out
    assert printed.startswith("hay 0.9") and "True" in printed and "features.12 (1, 512, 13, 13)" in printed
    assert Path("saliency.png").exists()
    np.testing.assert_allclose(names["again"], names["maps"][0], rtol=1e-6)


def test_its_pictures_are_there():
    for name in re.findall(r"!\[[^]]+\]\(([^)]+)\)", GUIDE.read_text(encoding="utf-8")):
        assert (GUIDE.parent / name).is_file(), name
