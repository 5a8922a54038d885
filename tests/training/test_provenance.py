import importlib.metadata
import json
import platform

from chainrule.settings import Settings
from chainrule.training import provenance
from chainrule.training.provenance import describe_data, machine, versions


def test_the_configuration_of_a_run_has_everything_to_repeat_it(blobs, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/somewhere/bin/chainrule", "train", "mlp", "--seed", "3"])
    settings = Settings("mlp", seed=3)
    config = json.loads(json.dumps(provenance(settings, blobs)))
    assert config["command"] == ["chainrule", "train", "mlp", "--seed", "3"]
    assert Settings.from_dict(config["settings"]) == settings
    assert config["data"] == {"name": "blobs", "images": {"train": 55, "val": 21, "test": 20}, "checksum": blobs.checksum}
    assert config["versions"]["python"] == platform.python_version()
    assert config["machine"]["cores"] >= 1


def test_versions_are_those_of_the_installed_packages():
    assert versions()["numpy"] == importlib.metadata.version("numpy")


def test_a_package_that_is_not_installed_is_left_out(monkeypatch):
    def version(name):
        if name == "torch":
            raise importlib.metadata.PackageNotFoundError
        return "1"

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert "torch" not in versions()


def test_the_machine_is_described_without_proc_cpuinfo(monkeypatch):
    def unreadable(*args, **kwargs):
        raise OSError

    monkeypatch.setattr("pathlib.Path.read_text", unreadable)
    assert machine()["processor"]


def test_two_datasets_differ_by_their_checksum(blobs):
    assert describe_data(blobs)["checksum"] == blobs.checksum
