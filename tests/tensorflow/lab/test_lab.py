"""The TensorFlow lab as a learner has it: its files are checked in a process of their own, and what is wrong is named."""

import pytest
from tests.lab.workspaces import new_workspace, verdict_on

from chainrule.lab.checking import check_workspace
from chainrule.lab.labs import find_lab
from chainrule.lab.training import train
from chainrule.lab.workspace import find_workspace

WRONG_STEP = """

def sgd_step(network, params, x, y, learning_rate):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, network(x, params)))
    for w, dw in zip(params, tape.gradient(loss, params)):
        w = w - learning_rate * dw
    return float(loss)
"""
PRINTING = """

def two_layer_fc(x, params):
    print(x, len(x))
    return tf.nn.relu(tf.reshape(x, (len(x), -1)) @ params[0]) @ params[1]
"""


@pytest.fixture
def solutions(tmp_path):
    return new_workspace(tmp_path / "work", "tensorflow", solutions=True)


def append(folder, file, code):
    path = folder / file
    path.write_text(path.read_text() + code)


def test_the_solutions_are_right(solutions):
    verdicts = list(check_workspace(find_workspace(solutions)))
    assert [(verdict.function, verdict.status) for verdict in verdicts if verdict.status != "right"] == []
    assert len(verdicts) == 10


def test_a_new_workspace_has_nothing_written(tmp_path):
    new_workspace(tmp_path / "work", "tensorflow")
    assert {verdict.status for verdict in check_workspace(find_workspace(tmp_path / "work"))} == {"unwritten"}


def test_a_step_that_changes_nothing_is_named(solutions):
    append(solutions, "tf_level1_tensors.py", WRONG_STEP)
    verdict = verdict_on(solutions, "sgd_step")
    assert (verdict.status, verdict.kind) == ("wrong", "mutation")
    assert "w.assign_sub changes the variable" in verdict.sentence
    assert [name for name, _ in verdict.example.calls] == ["sgd_step"]


def test_a_class_that_is_wrong_is_shown_with_its_input(solutions):
    append(
        solutions,
        "tf_level2_modules.py",
        "\n\n_right = TwoLayerFC.call\nTwoLayerFC.call = lambda self, x: tf.nn.softmax(_right(self, x))\n",
    )
    verdict = verdict_on(solutions, "TwoLayerFC.call")
    assert (verdict.status, verdict.kind) == ("wrong", "scale")
    assert verdict.example.calls[-1][1]["x"].shape == (2, 3)


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("\n\nimport keras\nfrom tensorflow import keras\n", "right", ""),  # Keras belongs to it
        ("\n\nimport torch\n", "error", "torch is not to be used here"),
        ("\n\nfrom chainrule.tensorflow.levels.tensors import two_layer_fc\n", "error", "is not to be used here"),
        (PRINTING, "right", ""),
        ("\n\ndef two_layer_fc(x, params):\n    return tf.zeros((1 << 29, 8))\n", "error", "tf_level1_tensors.py:"),  # 16 GiB
    ],
)
def test_what_a_file_may_do(solutions, code, status, told):
    append(solutions, "tf_level1_tensors.py", code)
    verdict = next(each for each in check_workspace(find_workspace(solutions), ["two_layer_fc"]) if each.file == "tf_level1_tensors.py")
    assert verdict.status == status, verdict.sentence
    assert told in verdict.sentence


def test_the_learners_step_is_what_trains(solutions):
    append(solutions, "tf_level1_tensors.py", WRONG_STEP)
    runs = train(find_workspace(solutions), find_lab("tensorflow"), epochs=1, limit=200)
    wrong, right = runs[0], runs[2]
    assert "sgd_step" in wrong.uses
    assert wrong.losses["yours"][0] == pytest.approx(wrong.losses["library"][0])
    assert wrong.losses["yours"][-1] != pytest.approx(wrong.losses["library"][-1])
    assert right.losses["yours"] == pytest.approx(right.losses["library"], rel=1e-6)
