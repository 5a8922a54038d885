import json

STUDY = """
question = "Does a small rate learn less?"
seeds = 2
[base]
model = "two-layer"
data = "digits"
limit = 50
epochs = 1
[grid]
lr = [0.001, 0.02]
"""


def test_list_names_every_study(chainrule):
    ended = chainrule("experiment", "list")
    assert ended.code == 0
    assert "depth" in ended.out
    assert "At which depth does a plain network stop training" in ended.out
    names = [study["name"] for study in json.loads(chainrule("experiment", "list", "--json").out)]
    assert "update-rules" in names


def test_show_says_what_a_study_varies(chainrule):
    ended = chainrule("experiment", "show", "depth")
    assert ended.code == 0
    assert "CS236781" in ended.out
    assert "36 cells" in ended.out


def test_run_ends_in_table_finding_and_page(chainrule, tmp_path):
    (tmp_path / "mine.toml").write_text(STUDY)
    ended = chainrule("experiment", "run", "mine.toml", "--workers", "2")
    assert ended.code == 0, ended.err
    assert "4/4" in ended.out
    assert "mine: validation accuracy of the best epoch" in ended.out
    assert "The highest validation accuracy of the best epoch has lr" in ended.out
    assert (tmp_path / "experiments" / "mine" / "report.html").exists()
    assert (tmp_path / "experiments" / "mine" / "results.csv").exists()
    shown = chainrule("experiment", "show", "mine.toml")
    assert "4 cells are done" in shown.out


def test_a_wrong_study_file_is_one_line(chainrule, tmp_path):
    (tmp_path / "mine.toml").write_text(STUDY.replace("lr =", "rate ="))
    ended = chainrule("experiment", "run", "mine.toml")
    assert ended.code == 1
    assert ended.err.startswith("error: mine.toml: the cell rate 0.001: 'rate' is neither a setting")
    assert not (tmp_path / "experiments").exists()


def test_missing_data_are_said_before_any_training(chainrule, tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "nowhere"))
    ended = chainrule("experiment", "run", "depth")
    assert ended.code == 1
    assert "chainrule data get cifar10" in ended.err
    assert not (tmp_path / "experiments").exists()
