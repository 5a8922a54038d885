"""The pages of the studies are those of the studies as they are now."""

import itertools
import re
from pathlib import Path

import pytest

from chainrule.experiments import read_study, shipped_studies

FOLDER = Path(__file__).parents[2] / "docs" / "experiments"


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("name", shipped_studies())
def test_a_study_has_a_page_with_its_question_its_command_and_a_number_for_each_condition(name):
    study = read_study(name)
    page = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert study.question in page
    assert f"chainrule experiment run {name} --data cifar10" in page
    assert f"chainrule experiment run {name} --data cifar10 --full" in page
    head, _, *rows = [cells(line) for line in page.splitlines() if line.startswith("|")]
    assert head[: len(study.axes)] == list(study.axes)
    labels = [tuple(row[: len(study.axes)]) for row in rows]
    assert labels == list(itertools.product(*study.axes.values()))
    assert all(re.match(r"[0-9.]+ ± [0-9.]+ %|failed", row[len(study.axes)]) for row in rows)
    assert (FOLDER / f"{name}.svg").read_text(encoding="utf-8").lstrip().startswith("<?xml")


def test_the_index_names_every_page():
    index = (FOLDER / "index.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([a-z0-9-]+)\.md\)", index))
    assert linked == {path.stem for path in FOLDER.glob("*.md")} - {"index"}
    assert set(shipped_studies()) <= linked


def test_the_example_of_a_study_of_ones_own_can_be_run(tmp_path):
    index = (FOLDER / "index.md").read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(re.search(r"```toml\n(.*?)```", index, re.DOTALL)[1])
    assert len(read_study(path).cells) == 4 * 3 * 3
    assert read_study(path, full=True).cells[0].settings.epochs == 30
