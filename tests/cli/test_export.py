import json
import re

import numpy as np
import pytest

from chainrule.data import load


@pytest.mark.parametrize(("format", "name"), [("safetensors", "model.safetensors"), ("torch", "model.pt"), ("onnx", "model.onnx")])
def test_a_run_becomes_a_file_in_its_folder_or_elsewhere(chainrule, trained, tmp_path, format, name):
    pytest.importorskip("onnx" if format == "onnx" else "torch")
    ended = chainrule("export", "fc", "--format", format)
    assert ended.code == 0, ended.err
    assert re.fullmatch(rf"runs/fc/{re.escape(name)}   [1-9][\d.]* (KiB|MiB)\n", ended.out)
    assert chainrule("export", "fc", "--format", format, "--output", tmp_path / "elsewhere").code == 0
    assert (tmp_path / "elsewhere").stat().st_size == (tmp_path / "runs" / "fc" / name).stat().st_size


def test_the_exported_network_has_the_accuracy_of_the_run(chainrule, trained, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    assert chainrule("export", "fc").code == 0
    data = load("digits")
    session = runtime.InferenceSession(tmp_path / "runs" / "fc" / "model.onnx", providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {"pixels": data.test.images.astype(np.float32)})
    accuracy = json.loads(chainrule("evaluate", "fc", "--split", "test", "--json").out)["accuracy"]
    assert np.mean(scores.argmax(axis=1) == data.test.labels) == pytest.approx(accuracy)
