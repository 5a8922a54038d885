"""Verdicts on whole workspaces: what is not written, right, wrong, or cannot be run, with file and line."""

import os
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
    assert verdict.example.calls[0][1]["x"].size == 6


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


def test_values_on_the_way_that_are_right_are_told_with_the_next(tmp_path):
    forward = FORWARD.replace("x.var(axis=1, keepdims=True)", "np.abs(x - mean).mean(axis=1, keepdims=True)")
    assert verdict_on(written(tmp_path, forward), "layernorm_forward").sentence == (
        "out is wrong; on the way to out you have the right mean (`mean`), so the mistake is elsewhere; "
        "variance would be [[2.] [6.]] for 2 samples of 3 features"
    )


def test_values_on_the_way_say_nothing_of_results_that_they_do_not_lead_to(tmp_path):
    body = """
def batchnorm_forward(x, gamma, beta, bn_param):
    mean, var = x.mean(axis=0), x.var(axis=0)
    x_hat = (x - mean) / np.sqrt(var + bn_param.get("eps", 1e-5))
    momentum = bn_param.get("momentum", 0.9)
    for name, value in (("running_mean", mean), ("running_var", 3 * var)):
        bn_param[name] = momentum * bn_param.get(name, np.zeros_like(mean)) + (1 - momentum) * value
    return gamma * x_hat + beta, None
"""
    assert "x_hat" not in verdict_on(written(tmp_path, body), "batchnorm_forward").sentence


def test_what_nothing_explains_is_said_to_be_so(tmp_path):
    verdict = verdict_on(written(tmp_path, FORWARD, BACKWARD.replace("return dx / std", "return np.sin(dx)")), "layernorm_backward")
    assert (verdict.status, verdict.kind) == ("wrong", "unknown")
    assert "dx is wrong (dgamma, dbeta right); on the way to dx you have the right dx_hat (`dx_hat`)" in verdict.sentence
    assert verdict.example is not None


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        ("dx, dgamma", "gives back 2 things; expected dx, dgamma, dbeta"),
        ("None", "gives back None (is the return missing?)"),
        ("dx", "gives back one array of shape (2, 3); expected dx, dgamma, dbeta"),
        ("dx, dgamma, 'beta'", "dbeta is a str; expected an array of numbers"),
        ("dx, dgamma[None], dgamma", "dgamma has shape (1, 3); expected (3,): an axis of length 1 is too many"),
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
    sentence = verdict_on(written(tmp_path, forward, backward), "layernorm_backward").sentence
    assert "they have to be sums" in sentence
    assert sentence.endswith(
        "; but its cache is from layernorm_forward, which is wrong itself: mend that first, for it may be all that is wrong"
    )


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


def test_an_argument_without_its_default_is_told(tmp_path):
    file = new_workspace(tmp_path, "optimization") / "optim.py"
    file.write_text(file.read_text() + "\ndef sgd(w, dw, config):\n    return w, config\n")
    assert verdict_on(tmp_path, "sgd").sentence == "sgd takes (w, dw, config); expected (w, dw, config=None)"


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


def test_a_pipe_in_place_of_a_file_is_told(tmp_path):
    file = new_workspace(tmp_path) / "normalization.py"
    file.unlink()
    os.mkfifo(file)
    assert "a pipe or a device, not a file" in verdict_on(tmp_path, "layernorm_forward").sentence


def test_files_of_the_workspace_find_one_another(tmp_path):
    folder = written(tmp_path, FORWARD.replace("    mean =", "    import mine\n    x = mine.same(x)\n    mean ="))
    (folder / "mine.py").write_text("def same(x):\n    return x.copy()\n")
    assert verdict_on(folder, "layernorm_forward").status == "right"


def test_a_finished_lab_is_checked_in_seconds(tmp_path):
    new_workspace(tmp_path, solutions=True)
    started = time.monotonic()
    verdicts_on(tmp_path)
    assert time.monotonic() - started < 20  # a hang, not a speed: that is in benchmarks


SOFTMAX = """
def softmax_loss(x, y):
    rows = np.arange(len(x))
    shifted = x - x.max(axis=1, keepdims=True)
    total = np.exp(shifted).sum(axis=1, keepdims=True)
    p = np.exp(shifted) / total
    surprise = np.log(total[:, 0]) - shifted[rows, y]
    dx = p.copy()
    dx[rows, y] -= 1
    return surprise.mean(), dx / len(x)
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "surprise.mean()",
            "surprise.sum() - 1",
            "loss is wrong (dx right); on the way to loss you have the right probabilities (`p`) and loss of each sample (`surprise`)",
        ),
        (
            "y] -= 1",
            "y] -= 1.25",
            "dx is wrong (loss right); on the way to dx you have the right probabilities (`p`), so the mistake is elsewhere",
        ),
        ("np.exp(shifted) / total", "np.exp(shifted) / total + 0.3 * shifted", "dx is wrong (loss right); no catalogued mistake"),
    ],
)
def test_what_leads_to_the_result_that_is_wrong_is_told(tmp_path, old, new, told):
    file = new_workspace(tmp_path, "backpropagation") / "layers.py"
    file.write_text(file.read_text() + SOFTMAX.replace(old, new))
    verdict = verdict_on(tmp_path, "softmax_loss")
    assert verdict.status == "wrong"
    assert told in verdict.sentence


def test_an_ordinary_input_that_is_wrong_is_told_before_what_happens_on_a_special_one(tmp_path):
    file = new_workspace(tmp_path, "backpropagation") / "layers.py"
    file.write_text(file.read_text() + SOFTMAX.replace("surprise.mean()", "np.exp(surprise).mean()"))  # inf for an unlikely label
    verdict = verdict_on(tmp_path, "softmax_loss")
    assert verdict.sentence.startswith("loss is wrong (dx right)")


def test_the_example_of_a_method_shows_the_parameters_and_what_it_was_called_with(tmp_path):
    file = new_workspace(tmp_path, "backpropagation", solutions=True) / "two_layer_net.py"
    file.write_text(file.read_text().replace("scores = hidden @ W2 + b2", "scores = hidden @ W2 + 1.5 * b2"))
    verdict = verdict_on(tmp_path, "TwoLayerNet.loss")
    names = [name for name, _ in verdict.example.calls]
    assert names == ["TwoLayerNet", "TwoLayerNet.loss"]
    assert list(verdict.example.calls[1][1]) == ["W1", "b1", "W2", "b2", "X"]


@pytest.mark.parametrize(
    "text",
    ["layernorm_forward = lambda *arguments: mine(*arguments)", "layernorm_forward = mine", "from other import mine as layernorm_forward"],
)
def test_a_function_may_have_its_name_by_an_assignment_or_an_import(tmp_path, text):
    folder = written(tmp_path, FORWARD.replace("def layernorm_forward", "def mine"), f"\n\n{text}\n")
    (folder / "other.py").write_text("import numpy as np\n" + FORWARD.replace("def layernorm_forward", "def mine"))
    assert verdict_on(folder, "layernorm_forward").status == "right"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("class layernorm_forward:\n    pass", "layernorm_forward is a class; expected a function"),
        ("async def layernorm_forward(x, gamma, beta, ln_param):\n    return x, None", "layernorm_forward is an async def"),
    ],
)
def test_what_is_no_function_is_told(tmp_path, text, told):
    assert told in verdict_on(written(tmp_path, f"\n\n{text}\n"), "layernorm_forward").sentence


def test_a_missing_function_is_never_taken_for_another_that_the_lab_asks_for(tmp_path):
    verdict = verdict_on(edited(tmp_path, "def layernorm_forward(", "def some_other_thing("), "layernorm_forward")
    assert verdict.sentence == "normalization.py has no layernorm_forward; it was there at the start"


def test_a_comma_too_many_is_told(tmp_path):
    verdict = verdict_on(
        written(tmp_path, FORWARD.replace("return gamma * x_hat + beta, (", "out = gamma * x_hat + beta,\n    return out, (")),
        "layernorm_forward",
    )
    assert verdict.sentence == "out is a tuple of one thing; expected an array: is there a comma too many at the end of a line?"


def test_what_raises_on_ordinary_inputs_is_an_error_though_it_is_wrong_on_a_special_one(tmp_path):
    forward = FORWARD.replace('ln_param.get("eps", 1e-5)', '2 * ln_param["eps"]')
    verdict = verdict_on(written(tmp_path, forward), "layernorm_forward")
    assert (verdict.status, "fails on 2 samples" in verdict.sentence, "KeyError" in verdict.sentence) == ("error", True, True)


def test_what_raises_beside_wrong_numbers_is_told_too(tmp_path):
    forward = FORWARD.replace("    x_hat =", '    if "eps" in ln_param:\n        raise KeyError("eps")\n    x_hat =').replace(
        "(x - mean)", "np.sin(x - mean)"
    )
    verdict = verdict_on(written(tmp_path, forward), "layernorm_forward")
    assert verdict.status == "wrong"
    assert "; and on eps = 0.5 it fails: KeyError: 'eps' (normalization.py:" in verdict.sentence


def test_a_changed_argument_is_told_beside_wrong_numbers(tmp_path):
    forward = FORWARD.replace("    x_hat = (x - mean)", "    x -= np.sin(mean)\n    x_hat = np.sin(x)")
    assert verdict_on(written(tmp_path, forward), "layernorm_forward").sentence.endswith("; and it modifies its argument x")


def test_a_file_that_is_no_utf8_is_told_without_a_line(tmp_path):
    file = new_workspace(tmp_path) / "normalization.py"
    file.write_text(file.read_text(), encoding="utf-16")
    assert "None" not in verdict_on(tmp_path, "layernorm_forward").sentence


def test_a_catalogued_mistake_is_named_beside_another_on_special_inputs(tmp_path):
    forward = FORWARD.replace("axis=1", "axis=0").replace('ln_param.get("eps", 1e-5)', "1e-5")
    sentence = verdict_on(written(tmp_path, forward), "layernorm_forward").sentence
    assert "over the batch" in sentence
    assert sentence.endswith("; and something else is wrong where eps is not small")


def test_another_shape_on_a_special_input_does_not_keep_wrong_numbers_from_being_told(tmp_path):
    forward = FORWARD.replace("(x - mean) / std", "np.sin(x - mean) / std").replace(
        "    return gamma", "    if len(x) == 1:\n        return (gamma * x_hat + beta)[0, :2], None\n    return gamma"
    )
    verdict = verdict_on(written(tmp_path, forward), "layernorm_forward")
    assert (verdict.status, verdict.sentence.startswith("out is wrong")) == ("wrong", True)


@pytest.mark.parametrize("change", ["x *= 0", "w[0] = 1", "b += b"])
def test_a_backward_pass_that_changes_an_array_in_its_cache_is_told(tmp_path, change):
    file = new_workspace(tmp_path, "backpropagation", solutions=True) / "layers.py"
    file.write_text(
        file.read_text()
        + f"""
def affine_forward(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, {{"w": w}}, [b])


def affine_backward(dout, cache):
    x, w, b = cache[0], cache[1]["w"], cache[2][0]
    result = (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)
    {change}
    return result
"""
    )
    verdict = verdict_on(tmp_path, "affine_backward")
    assert (verdict.kind, verdict.sentence.partition(";")[0]) == ("mutation", "modifies its argument cache")


@pytest.mark.parametrize("result", ["out.tolist(), cache", "tuple(out), cache"])
def test_a_list_in_place_of_an_array_is_wrong(tmp_path, result):
    forward = FORWARD.replace(
        "return gamma * x_hat + beta, (x_hat, std, gamma)", f"out, cache = gamma * x_hat + beta, 0\n    return {result}"
    )
    sentence = verdict_on(written(tmp_path, forward), "layernorm_forward").sentence
    assert sentence == f"out is a {'list' if 'list' in result else 'tuple'}; expected an array"


def test_a_reshape_is_not_advised_where_the_entries_are_in_another_order(tmp_path):
    file = new_workspace(tmp_path, "convolution", solutions=True) / "convolution.py"
    text = file.read_text()
    assert "def conv_forward_naive" in text
    file.write_text(
        text
        + """

right = conv_forward_naive


def conv_forward_naive(x, w, b, conv_param):
    out, cache = right(x, w, b, conv_param)
    return np.ascontiguousarray(out[..., ::-1].swapaxes(2, 3)), cache
"""
    )
    sentence = verdict_on(tmp_path, "conv_forward_naive").sentence
    assert sentence.startswith("out has shape (")
    assert "reshape" not in sentence


def test_a_cache_of_none_is_told_where_the_backward_pass_fails_on_it(tmp_path):
    forward = FORWARD.replace("(x_hat, std, gamma)", "None")
    sentence = verdict_on(written(tmp_path, forward, BACKWARD), "layernorm_backward").sentence
    assert "NoneType object; the cache is None here: the forward pass has to keep what this one needs (" in sentence


def test_the_example_of_a_method_that_calls_others_shows_its_own_network(tmp_path):
    file = new_workspace(tmp_path, "backpropagation", solutions=True) / "two_layer_net.py"
    text = file.read_text()
    assert ".argmax(axis=1)" in text
    file.write_text(text.replace(".argmax(axis=1)", ".argmin(axis=1)"))
    (network, _), (method, given), *_ = verdict_on(tmp_path, "TwoLayerNet.predict").example.calls
    assert (network, method, given["X"].shape) == ("TwoLayerNet", "TwoLayerNet.predict", (2, 2))


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [("mean =", "mean =", "right"), ("return gamma", "return 3 * gamma", "wrong"), ("return gamma", "return x[9] * gamma", "error")],
)
def test_what_a_function_prints_is_told_for_the_input_that_is_shown(tmp_path, old, new, status):
    forward = FORWARD.replace(old, new).replace("    x_hat =", '    print("x is", x.shape)\n    print(mean.shape)\n    x_hat =')
    verdict = verdict_on(written(tmp_path, forward), "layernorm_forward")
    assert (verdict.status, verdict.printed) == (status, "x is (2, 3)\n(2, 1)\n")


def test_of_much_that_is_printed_the_beginning_is_told(tmp_path):
    forward = FORWARD.replace("    x_hat =", "    for number in range(2000):\n        print(number)\n    x_hat =")
    printed = verdict_on(written(tmp_path, forward), "layernorm_forward").printed
    assert printed.startswith("0\n1\n2\n")
    assert printed.endswith("...\n")
    assert len(printed) < 2000


def test_a_method_and_a_class_built_on_another_are_told_beside_the_constructor_that_is_wrong(tmp_path):
    pytest.importorskip("torch")
    file = new_workspace(tmp_path, "residual-networks", solutions=True) / "residual_blocks.py"
    text = file.read_text()
    assert "nn.Dropout2d(" in text
    file.write_text(text.replace("nn.Dropout2d(", "nn.Dropout("))
    assert verdict_on(tmp_path, "ResidualBlock.__init__").status == "wrong"
    bottleneck = verdict_on(tmp_path, "ResidualBottleneckBlock.__init__")
    assert "; but it works with what ResidualBlock.__init__ makes, which is wrong itself: mend that first" in bottleneck.sentence
