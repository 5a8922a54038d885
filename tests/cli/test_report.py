def test_it_writes_the_page_and_says_where(chainrule, trained, tmp_path):
    page = tmp_path / "runs" / "fc" / "report.html"
    page.unlink()
    ended = chainrule("report", "fc", "--split", "test")
    assert (ended.code, ended.out) == (0, "runs/fc/report.html\n")
    assert page.read_text().startswith("<!")


def test_a_run_without_a_checkpoint_is_an_error(chainrule, trained, tmp_path):
    (tmp_path / "runs" / "fc" / "checkpoints").rename(tmp_path / "away")
    ended = chainrule("report", "fc")
    assert ended.code == 1
    assert "run 'fc' has no checkpoint 'best'" in ended.err


def test_other_data_are_refused(chainrule, trained, tmp_path):
    path = tmp_path / "runs" / "fc" / "config.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    ended = chainrule("report", "fc")
    assert ended.code == 1
    assert "these are not the data that run 'fc' was trained on: checksum was" in ended.err


def test_train_and_report_write_the_same_page_of_the_best_checkpoint(chainrule, tmp_path):
    arguments = ("--lr", "0.05", "--limit", "50", "--epochs", "6", "--name", "fc")  # so few images that the last epoch is not the best
    assert chainrule("train", "fully-connected", "--hidden", "20", *arguments).code == 0
    page = tmp_path / "runs" / "fc" / "report.html"
    of_train = page.read_text()
    assert chainrule("report", "fc").code == 0
    assert page.read_text() == of_train
    assert chainrule("report", "fc", "--checkpoint", "last").code == 0
    assert page.read_text() != of_train
