"""The README's Python runs as it stands and shows what the README says it shows."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from chainrule.verification import GradientError

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [line.split("#")[0].strip() for line in README.replace("\\\n", "").splitlines() if line.startswith("chainrule ")]


def test_the_first_example_trains_digits_well(capsys):
    exec(BLOCKS[0], {})
    accuracy = float(capsys.readouterr().out.splitlines()[-1])
    assert accuracy > 0.96  # 269 images: five of them are 2 %


def test_the_check_of_a_wrong_layer_says_what_the_readme_shows():
    with pytest.raises(GradientError) as raised:
        exec(BLOCKS[1], {})
    assert "it is 2 times too small" in str(raised.value)
    assert "it is 2 times too small" in README


def test_one_function_builds_the_network_for_every_namespace():
    exec(BLOCKS[2], {})


def test_the_readme_has_no_holes():
    assert "<!--" not in README


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_the_readme_parse(command):
    from chainrule.cli.main import app

    group = typer.main.get_command(app)
    arguments = shlex.split(command)[1:]
    while getattr(group, "commands", None):
        group = group.commands[arguments.pop(0)]
    group.make_context(command, [*arguments])
