"""The process that has the library's functions: what it says, and what is said when it cannot."""

import os
from dataclasses import replace

import pytest
from tests.lab.workspaces import FORWARD, new_workspace, verdict_on, written

from chainrule.lab import checking
from chainrule.lab.judging import judge
from chainrule.lab.probing import Outcome
from chainrule.lab.processes import ForkServer
from chainrule.lab.sandbox import Task

TASK = Task("layers.py", "relu_forward", 1, "activations", {"relu_forward": "chainrule.functional.activations"}, (), ())


def test_a_library_that_fails_itself_is_no_fault_of_the_learner(tmp_path, monkeypatch):
    (tmp_path / "broken_library.py").write_text("def layernorm_forward(*arguments):\n    raise ValueError('too tired')\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(checking, "_partners", lambda file: {"layernorm_forward": "broken_library"})
    verdict = verdict_on(written(tmp_path / "work", FORWARD), "layernorm_forward")
    assert verdict.status == "error"
    assert verdict.sentence.startswith(
        "could not be checked, which is a fault of chainrule and none of yours: the library's own function fails on"
    )
    assert verdict.sentence.endswith(": too tired")


@pytest.mark.parametrize(
    ("partners", "fault"),
    [
        ({"relu_forward": "math"}, "its process was ended"),  # which has none
        ({"relu_forward": "chainrule.functional", "sqrt": "math"}, ""),
    ],
)
def test_a_process_that_ends_is_told(partners, fault):
    with ForkServer([]) as server, judge(server, [replace(TASK, partners=partners)]) as judged:
        assert judged([Outcome(error="no")]).fault == fault


def test_a_package_that_is_not_there_is_told():
    partners = {"relu_forward": "no_such_package"}
    with (
        ForkServer(["no_such_package"]) as server,
        judge(server, [replace(TASK, partners=partners)]) as judged,
        pytest.raises(ImportError, match="No module named 'no_such_package'"),
    ):
        judged([])


def test_an_example_shows_a_type_by_its_name(tmp_path):
    file = new_workspace(tmp_path, "fully-connected-nets", solutions=True) / "fully_connected.py"
    text = file.read_text()
    assert "= weight_scale * " in text
    file.write_text(text.replace("= weight_scale * ", "= 2 * weight_scale * "))
    (_, given), *_ = verdict_on(tmp_path, "FullyConnectedNet.__init__").example.calls
    assert given["dtype"] in ("float32", "float64")
