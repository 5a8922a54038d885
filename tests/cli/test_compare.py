import json


def test_two_runs_are_compared_in_tables_and_on_a_page(chainrule, trained, tmp_path):
    other = chainrule("train", "fully-connected", "--hidden", "15", "--epochs", "1", "--name", "small")
    assert other.code == 0, other.err
    ended = chainrule("compare", "fc", "small")
    assert ended.code == 0, ended.err
    for text in ("Best validation accuracy", "± ", "model_arguments.hidden_dims", "normalization"):
        assert text in ended.out
    page = tmp_path / "runs" / "compare-fc-small.html"
    assert str(page.relative_to(tmp_path)) in ended.out
    assert "fc against small" in page.read_text()

    found = json.loads(chainrule("compare", "fc", "small", "--json").out)
    assert [run["name"] for run in found["runs"]] == ["fc", "small"]
    assert found["settings"]["epochs"] == [2, 1]


def test_a_run_that_is_not_there_is_named(chainrule, trained):
    ended = chainrule("compare", "fc", "fcc")
    assert ended.code == 1
    assert "there is no run 'fcc' in runs; did you mean fc?" in ended.err
