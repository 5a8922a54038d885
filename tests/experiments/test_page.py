import re
import shutil
import xml.etree.ElementTree as ElementTree

from chainrule.experiments import prepare_folder, read_study, run_study, write_page


def test_the_page_has_finding_plots_and_every_number(small, tmp_path):
    small.write_text(small.read_text().replace("lr = [0.001, 0.02]", "lr = [1e38, 0.02]"))
    study = read_study(small)
    folder = prepare_folder(study, tmp_path)
    outcomes = run_study(study, folder, workers=2)
    page = write_page(study, folder, outcomes, command="chainrule experiment run small.toml").read_text()
    assert "Does a small rate learn less?" in page
    assert "The highest validation accuracy of the best epoch has" in page
    assert "Failed: lr 1e+38, normalization none, 2 of 2" in page
    assert page.count("<svg") == 2
    assert page.count("<tr") == 5
    assert not re.search(r"(src|href)=.?(https?:)?//", page)
    for name in ("result", "course"):
        plot = (folder / f"{name}.svg").read_text()
        texts = {element.text for element in ElementTree.fromstring(plot).iter("{http://www.w3.org/2000/svg}text")}
        assert {"none", "batch"} <= texts


def test_a_name_is_no_formula_and_a_deleted_run_no_end(small, tmp_path):
    small.write_text(small.read_text().replace("lr = [0.001, 0.02]", 'n."$x^2_$" = { lr = 0.1 }').replace("seeds = 2", "seeds = 1"))
    study = read_study(small)
    folder = prepare_folder(study, tmp_path)
    outcomes = run_study(study, folder)
    shutil.rmtree(folder / "runs" / study.cells[0].name)
    assert "$x^2_$" in write_page(study, folder, outcomes, command="").read_text()


def test_the_same_results_make_the_same_plot(small, tmp_path):
    study = read_study(small, seeds=1)
    folder = prepare_folder(study, tmp_path)
    outcomes = run_study(study, folder, workers=2)
    write_page(study, folder, outcomes, command="")
    before = (folder / "result.svg").read_bytes()
    write_page(study, folder, outcomes, command="")
    assert (folder / "result.svg").read_bytes() == before
