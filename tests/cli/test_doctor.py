import json
import os

import pytest


def findings(ended):
    return {row["what"]: row for row in json.loads(ended.out)}


def test_all_is_well_here(chainrule):
    ended = chainrule("doctor")
    assert ended.code == 0
    for what in ("versions", "torch", "machine", "BLAS", "kernels", "CIFAR-10", "data folder", "runs folder"):
        assert what in ended.out


def test_its_json_says_the_same(chainrule):
    found = findings(chainrule("doctor", "--json"))
    assert found["versions"]["found"].startswith("python 3.")
    assert not any(row["broken"] for row in found.values())


def test_what_is_missing_comes_with_what_to_do(chainrule, monkeypatch, tmp_path):
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "none"))
    assert findings(chainrule("doctor", "--json"))["CIFAR-10"]["advice"] == "chainrule data get cifar10"


def test_kernels_that_are_compiled_by_every_process_are_told_where_to_be_kept(chainrule, monkeypatch):
    monkeypatch.setattr("chainrule.kernels.cache_is_kept", lambda: False)
    assert "set NUMBA_CACHE_DIR to a folder that can be written to" in findings(chainrule("doctor", "--json"))["kernels"]["advice"]


def test_kernels_that_cannot_be_compiled_are_broken(chainrule, monkeypatch):
    def broken():
        raise ImportError("no llvmlite")

    monkeypatch.setattr("chainrule.kernels.describe", broken)
    ended = chainrule("doctor", "--json")
    assert ended.code == 1
    assert findings(ended)["kernels"]["found"] == "ImportError: no llvmlite"
    assert "pip install" in findings(ended)["kernels"]["advice"]


def test_a_folder_that_cannot_be_written_to_is_said(chainrule, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "not writable" in findings(chainrule("doctor", "--json"))["runs folder"]["found"]


@pytest.mark.parametrize("name", ["chainrule", "numpy", "numba"])
def test_versions_name_what_decides_the_numbers(chainrule, name):
    assert f"{name} " in findings(chainrule("doctor", "--json"))["versions"]["found"]


def test_a_file_in_the_place_of_the_runs_folder_is_broken(chainrule, tmp_path):
    (tmp_path / "notdir").touch()
    ended = chainrule("doctor", "--runs", "notdir")
    assert ended.code == 1
    assert "notdir is not a folder" in ended.out
