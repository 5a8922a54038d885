"""The page on the kernels holds code that runs, and names every rung of the ladder."""

import re
from pathlib import Path

from chainrule.benchmarks.ladder import BETWEEN, RUNGS

PAGE = (Path(__file__).parents[2] / "docs" / "kernels.md").read_text(encoding="utf-8")


def test_winograds_matrices_give_the_convolution(capsys):
    (block,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(block, "docs/kernels.md", "exec"), {"__name__": "__main__"})
    # float64 rounding of sums of 36 terms, with factors of up to 8 and 5 in each direction: 1e-16 * 36 * 40 ** 2 at most
    assert float(capsys.readouterr().out) < 1e-11


def test_its_tables_are_the_ladders():
    for rung in [*RUNGS.values(), *BETWEEN.values()]:
        assert f"| {rung} |" in PAGE


def test_display_formulas_are_closed_and_it_has_no_holes():
    assert PAGE.count("$$") % 2 == 0
    assert "<!--" not in PAGE
