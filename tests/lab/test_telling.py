"""Verdicts as a terminal shows them."""

from tests.lab.workspaces import new_workspace, verdict_on

from chainrule.lab.telling import as_text


def test_calls_that_look_the_same_are_shown_once(tmp_path):
    file = new_workspace(tmp_path, "dropout", solutions=True) / "dropout.py"
    file.write_text(file.read_text() + "\ndef dropout_backward(dout, cache):\n    return 3 * dout\n")
    verdict = verdict_on(tmp_path, "dropout_backward")
    assert [name for name, _ in verdict.example.calls] == ["dropout_forward", "dropout_backward", "dropout_backward"]
    assert [line.strip() for line in as_text(verdict)].count("dropout_backward") == 1
