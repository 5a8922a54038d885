import errno
import importlib.metadata
import os
import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import typer.main

from chainrule.cli import main as main_module
from chainrule.cli.main import app

ROOT = typer.main.get_command(app)


def commands(group=ROOT, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands())


def examples(command):
    return [line for line in (command.epilog or "").splitlines() if line.startswith("chainrule")]


def test_the_commands_are_those_of_the_readme():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    shown = {
        match.removeprefix("chainrule ")
        for match in re.findall(r"^chainrule (?:data |experiment |visualize |lab )?[a-z]+", readme, re.MULTILINE)
    }
    assert {" ".join(path) for path in COMMANDS} == shown


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_ends_its_help_with_examples(path, chainrule):
    assert examples(COMMANDS[path])
    ended = chainrule(*path, "--help")
    assert ended.code == 0
    help_text = " ".join(ended.out.split())  # the lines are broken to the width of the screen
    for example in examples(COMMANDS[path]):
        assert example in help_text


@pytest.mark.parametrize("line", [line for command in [ROOT, *COMMANDS.values()] for line in examples(command)])
def test_every_example_is_a_command_that_the_command_line_understands(line):
    _, *args = shlex.split(line)
    command = ROOT
    while hasattr(command, "commands"):
        command = command.commands[args.pop(0)]
    command.make_context(command.name, args)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_is_explained_and_no_default_is_lost_as_markup(path, chainrule):
    for parameter in COMMANDS[path].params:
        assert parameter.name == "help" or parameter.help, parameter.name
    assert " ." not in chainrule(*path, "--help").out


def test_without_a_command_there_is_help(chainrule):
    ended = chainrule()
    assert "Usage: chainrule" in ended.out + ended.err


def test_an_unknown_command_is_wrong_usage(chainrule):
    assert chainrule("trian").code == 2


def test_it_says_its_version(chainrule):
    ended = chainrule("--version")
    assert (ended.code, ended.out) == (0, f"chainrule {importlib.metadata.version('chainrule')}\n")


def test_help_needs_no_numpy():
    code = """if True:
        import sys
        from chainrule.cli.main import main

        sys.argv = ["chainrule", "--help"]
        try:
            main()
        finally:
            print("numpy" in sys.modules)
    """
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_it_completes_in_the_shell(shell):
    environment = os.environ | {"_CHAINRULE_COMPLETE": f"complete_{shell}", "COMP_WORDS": "chainrule tr", "COMP_CWORD": "1"}
    environment |= {"_TYPER_COMPLETE_ARGS": "chainrule tr", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    ended = subprocess.run([sys.executable, "-m", "chainrule"], env=environment, capture_output=True, text=True)
    assert "train" in ended.stdout


# --- errors -----------------------------------------------------------------------------------------------------------------------------


def fails_with(monkeypatch, error):
    def fail(**options):
        raise error

    monkeypatch.setattr(main_module, "app", fail)


@pytest.mark.parametrize("error", [ValueError("the reason"), FileNotFoundError("the reason"), MemoryError("the reason")])
def test_an_error_is_one_sentence(chainrule, monkeypatch, error):
    fails_with(monkeypatch, error)
    ended = chainrule("models")
    assert (ended.code, ended.out, ended.err) == (1, "", "error: the reason\n")


def test_an_error_of_the_system_is_a_sentence_without_a_number(chainrule, monkeypatch):
    fails_with(monkeypatch, FileNotFoundError(errno.ENOENT, "No such file or directory", "none.toml"))
    assert chainrule("models").err == "error: none.toml: no such file or directory\n"
    fails_with(monkeypatch, OSError(errno.ENOSPC, "no space left in /data; make room"))
    assert chainrule("models").err == "error: no space left in /data; make room\n"


def test_its_notes_say_where(chainrule, monkeypatch):
    error = ValueError("x has shape (2, 3); expected (N, 4)")
    error.add_note("in layer 2 of 3")
    fails_with(monkeypatch, error)
    assert chainrule("models").err == "error: x has shape (2, 3); expected (N, 4)\nin layer 2 of 3\n"


def test_a_traceback_is_there_for_those_who_ask(chainrule, trained):
    with pytest.raises(FileNotFoundError):
        chainrule("--traceback", "evaluate", "none")


@pytest.mark.parametrize("error", [TypeError("unsupported operand"), KeyError("name"), ZeroDivisionError()])
def test_a_bug_has_a_traceback(chainrule, monkeypatch, error):
    fails_with(monkeypatch, error)
    with pytest.raises(type(error)):
        chainrule("models")


def test_ctrl_c_has_its_own_status(chainrule, monkeypatch):
    fails_with(monkeypatch, KeyboardInterrupt())
    assert chainrule("models").code == 130


def test_a_warning_is_one_plain_line(chainrule, monkeypatch):
    def warn(**options):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning("the first loss is 23 [sic]", UserWarning, "trainer.py", 1)
        sys.exit(0)

    monkeypatch.setattr(main_module, "app", warn)
    assert chainrule("models").err == "warning: the first loss is 23 [sic]\n"


def test_a_reader_who_leaves_is_no_error(tmp_path):
    for name in range(200):  # more than a pipe holds
        (tmp_path / f"run-{name}" / "x").mkdir(parents=True)
    command = f"{sys.executable} -m chainrule runs --json --runs {tmp_path} | head -n 1"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert ended.stdout == "[\n"
    assert ended.stderr == ""
