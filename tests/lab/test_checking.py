"""Verdicts on whole workspaces: what is not written, right, wrong, or cannot be run, with file and line."""

import time

import pytest
from tests.lab.workspaces import BACKWARD, FORWARD, new_workspace, verdict_on, written

from chainrule.lab.checking import check_workspace
from chainrule.lab.workspace import find_workspace


def verdicts_on(folder, **options):
    return {verdict.function: verdict for verdict in check_workspace(find_workspace(folder), **options)}


def test_a_new_workspace_has_nothing_written(tmp_path):
    verdicts = verdicts_on(new_workspace(tmp_path))
    assert {verdict.status for verdict in verdicts.values()} == {"unwritten"}
    assert all(verdict.line > 0 and verdict.file == "normalization.py" for verdict in verdicts.values())


def test_the_solutions_are_right(tmp_path):
    verdicts = verdicts_on(new_workspace(tmp_path, solutions=True))
    assert {verdict.status for verdict in verdicts.values()} == {"right"}


@pytest.mark.parametrize("body", ["pass", "...", '"""Mine."""', "raise NotImplementedError", 'raise NotImplementedError("later")'])
def test_a_body_without_content_is_not_written(tmp_path, body):
    folder = written(tmp_path, f"\ndef layernorm_forward(x, gamma, beta, ln_param):\n    {body}\n")
    assert verdict_on(folder, "layernorm_forward").status == "unwritten"


def test_a_wrong_function_is_told_with_kind_line_hints_and_the_smallest_example(tmp_path):
    folder = written(
        tmp_path, FORWARD, BACKWARD.replace("dout.sum(axis=0)", "dout.mean(axis=0)").replace("x_hat).sum(axis=0)", "x_hat).mean(axis=0)")
    )
    assert verdict_on(folder, "layernorm_forward").status == "right"
    verdict = verdict_on(folder, "layernorm_backward")
    assert (verdict.status, verdict.kind) == ("wrong", "scale")
    assert "they have to be sums" in verdict.sentence
    assert len(verdict.hints) >= 2
    assert "def layernorm_backward" in (folder / "normalization.py").read_text().splitlines()[verdict.line - 1]
    assert [name for name, _ in verdict.example.calls] == ["layernorm_forward", "layernorm_backward"]
    assert sorted(verdict.example.expected) == ["dbeta", "dgamma"]
    assert verdict.example.calls[0][1]["x"].size == 4


def test_float64_for_float32_is_right_with_a_remark(tmp_path):
    verdict = verdict_on(written(tmp_path, FORWARD.replace("return gamma", "return np.zeros(x.shape) + gamma")), "layernorm_forward")
    assert verdict.status == "right"
    assert "float64 for float32 inputs" in verdict.remark


def test_float32_for_float64_is_wrong(tmp_path):
    forward = FORWARD.replace("return gamma * x_hat + beta", "return (gamma * x_hat + beta).astype(np.float32)")
    verdict = verdict_on(written(tmp_path, forward), "layernorm_forward")
    assert (verdict.status, verdict.kind) == ("wrong", "dtype")


def test_a_modified_argument_is_named(tmp_path):
    forward = FORWARD.replace("    mean =", "    x *= 1.0\n    x += 1\n    mean =")
    verdict = verdict_on(written(tmp_path, forward), "layernorm_forward")
    assert (verdict.status, verdict.kind) == ("wrong", "mutation")
    assert verdict.sentence.startswith("modifies x;")


def test_a_modified_argument_that_no_catalogue_knows_is_named(tmp_path):
    backward = BACKWARD.replace("    dx_hat =", "    dout += 0.0\n    dout[0, 0] += 1\n    dout[0, 0] -= 1 + 1e-7\n    dx_hat =")
    verdict = verdict_on(written(tmp_path, FORWARD, backward), "layernorm_backward")
    assert (verdict.status, verdict.kind) == ("wrong", "mutation")
    assert "dout" in verdict.sentence


def test_the_first_wrong_value_on_the_way_is_named_by_its_variable(tmp_path):
    forward = FORWARD.replace("x.var(axis=1, keepdims=True)", "np.abs(x - mean).mean(axis=1, keepdims=True)")
    verdict = verdict_on(written(tmp_path, forward), "layernorm_forward")
    assert verdict.kind == "wrong-statistic"
    assert "`mean` is the right mean, but no variable holds the right variance" in verdict.sentence


def test_what_nothing_explains_is_said_to_be_so(tmp_path):
    verdict = verdict_on(written(tmp_path, FORWARD, BACKWARD.replace("return dx / std", "return np.sin(dx)")), "layernorm_backward")
    assert (verdict.status, verdict.kind) == ("wrong", "unknown")
    assert "dx is wrong (dgamma, dbeta right); no catalogued mistake gives these numbers" in verdict.sentence
    assert verdict.example is not None


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        ("dx, dgamma", "gives back 2 things; expected dx, dgamma, dbeta"),
        ("None", "gives back None (is the return missing?)"),
        ("dx", "gives back one array of shape (2, 2); expected dx, dgamma, dbeta"),
        ("dx, dgamma, 'beta'", "dbeta is a str; expected an array of numbers"),
        ("dx, dgamma[None], dgamma", "dgamma has shape (1, 2); expected (2,): an axis of length 1 is too many"),
    ],
)
def test_what_is_given_back_in_another_form_is_described(tmp_path, result, sentence):
    backward = f"\ndef layernorm_backward(dout, cache):\n    dx, dgamma = dout, dout.sum(axis=0)\n    return {result}\n"
    verdict = verdict_on(written(tmp_path, FORWARD, backward), "layernorm_backward")
    assert (verdict.status, verdict.kind) == ("wrong", "shape")
    assert sentence in verdict.sentence


def test_a_backward_pass_is_not_blamed_for_the_cache_of_a_wrong_forward_pass(tmp_path):
    forward = FORWARD.replace("x_hat = (x - mean) / std", "x_hat = (x - mean) / std**3")
    verdict = verdict_on(written(tmp_path, forward, BACKWARD), "layernorm_backward")
    assert (verdict.status, verdict.kind) == ("wrong", "cache")
    assert "from the cache of layernorm_forward, which is wrong itself: mend that first" in verdict.sentence


def test_a_catalogued_mistake_of_a_backward_pass_is_named_though_the_forward_pass_is_wrong(tmp_path):
    forward = FORWARD.replace("+ beta", "- beta")
    backward = BACKWARD.replace("dout.sum(axis=0)", "dout.mean(axis=0)").replace("x_hat).sum(axis=0)", "x_hat).mean(axis=0)")
    assert "they have to be sums" in verdict_on(written(tmp_path, forward, backward), "layernorm_backward").sentence


def test_a_backward_pass_is_checked_before_its_forward_pass_is_written(tmp_path):
    backward = BACKWARD.replace("x_hat, std, gamma = cache", "x_hat, std, gamma = cache[0], cache[1], cache[2]")
    assert verdict_on(written(tmp_path, backward), "layernorm_backward").status == "right"


def test_a_function_that_needs_an_unwritten_one_says_which(tmp_path):
    body = "\ndef layernorm_forward(x, gamma, beta, ln_param):\n    return batchnorm_forward(x.T, gamma, beta, ln_param)\n"
    verdict = verdict_on(written(tmp_path, body), "layernorm_forward")
    assert (verdict.status, verdict.sentence) == ("error", "needs batchnorm_forward, which is not written yet")


def edited(folder, old, new):
    file = new_workspace(folder) / "normalization.py"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return folder


def test_a_syntax_error_is_told_with_file_and_line(tmp_path):
    folder = edited(tmp_path, 'raise NotImplementedError("layernorm_forward is not written yet")', "return (x")
    verdict = verdict_on(folder, "layernorm_backward")
    lines = (folder / "normalization.py").read_text().splitlines()
    assert verdict.status == "error"
    assert verdict.sentence.startswith("normalization.py cannot be read as Python: '(' was never closed (line ")
    assert lines[verdict.line - 1].strip() == "return (x"


def test_an_import_that_fails_is_told_with_file_and_line(tmp_path):
    folder = written(tmp_path, FORWARD, header="import numpy as np\nimport does_not_exist\n")
    verdict = verdict_on(folder, "layernorm_forward")
    assert verdict.status == "error"
    assert "ModuleNotFoundError: No module named 'does_not_exist' (normalization.py:" in verdict.sentence


def test_a_renamed_function_is_recognized(tmp_path):
    verdict = verdict_on(edited(tmp_path, "def layernorm_forward(", "def layer_norm_forward("), "layernorm_forward")
    assert verdict.status == "error"
    assert "normalization.py has no layernorm_forward; is layer_norm_forward in line" in verdict.sentence


def test_other_arguments_are_told_beside_those_expected(tmp_path):
    body = "\ndef layernorm_forward(x, ln_param):\n    return x, None\n"
    verdict = verdict_on(written(tmp_path, body), "layernorm_forward")
    assert (verdict.status, verdict.sentence) == (
        "error",
        "layernorm_forward takes (x, ln_param); expected (x, gamma, beta, ln_param)",
    )


def test_renamed_and_further_optional_arguments_are_fine(tmp_path):
    body = FORWARD.replace("(x, gamma, beta, ln_param)", "(inputs, scale, shift, ln_param, debug=False)").replace(
        "    mean", "    x, gamma, beta = inputs, scale, shift\n    mean"
    )
    assert verdict_on(written(tmp_path, body), "layernorm_forward").status == "right"


def test_a_missing_file_is_missed(tmp_path):
    (new_workspace(tmp_path) / "normalization.py").unlink()
    verdict = verdict_on(tmp_path, "layernorm_forward")
    assert (verdict.status, "normalization.py is missing" in verdict.sentence) == ("error", True)


def test_a_name_that_no_lab_asks_for_names_the_nearest(tmp_path):
    with pytest.raises(ValueError, match="did you mean layernorm_forward"):
        verdict_on(new_workspace(tmp_path), "layernorm_foward")


def test_a_file_that_is_binary_is_told(tmp_path):
    (new_workspace(tmp_path) / "normalization.py").write_bytes(b"\x00\xff\xfe")
    assert verdict_on(tmp_path, "layernorm_forward").status == "error"


def test_files_of_the_workspace_find_one_another(tmp_path):
    folder = written(tmp_path, FORWARD.replace("    mean =", "    import mine\n    x = mine.same(x)\n    mean ="))
    (folder / "mine.py").write_text("def same(x):\n    return x.copy()\n")
    assert verdict_on(folder, "layernorm_forward").status == "right"


def test_a_finished_lab_is_checked_in_seconds(tmp_path):
    new_workspace(tmp_path, solutions=True)
    started = time.monotonic()
    verdicts_on(tmp_path)
    assert time.monotonic() - started < 20  # a hang, not a speed: that is in benchmarks
