"""The command line as a function, and a finished run to look at."""

import warnings
from types import SimpleNamespace

import pytest

from chainrule.cli.main import main


@pytest.fixture
def chainrule(monkeypatch, capsys, tmp_path):
    """chainrule("runs", "--json") -> its exit status, stdout and stderr; in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main() sets it
    monkeypatch.setenv("CHAINRULE_TRACEBACK", "")  # --traceback sets it
    monkeypatch.delenv("CHAINRULE_RUNS", raising=False)

    def run(*args):
        monkeypatch.setattr("sys.argv", ["chainrule", *map(str, args)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code, out=captured.out, err=captured.err)

    return run


@pytest.fixture
def trained(chainrule):
    """The run "fc", two epochs on the digits."""
    ended = chainrule("train", "fully-connected", "--hidden", "20", "10", "--normalization", "batch", "--epochs", "2", "--name", "fc")
    assert ended.code == 0, ended.err
    return ended
