"""Every notebook runs from the top in a clean kernel, and its outputs are checked in and small."""
import importlib.machinery
import importlib.util
import os
import pathlib
import time

import nbformat
import pytest

ROOT = pathlib.Path(os.environ.get("KLAMM_SOURCE_DIR") or pathlib.Path(__file__).parents[2])
BOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def tool():
    loader = importlib.machinery.SourceFileLoader("notebooks_tool", str(ROOT / "tests" / "tools" / "notebooks"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("notebooks_tool", loader))
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", BOOKS, ids=[path.stem for path in BOOKS])
def test_it_runs_from_a_clean_kernel_and_its_outputs_are_there(path, monkeypatch):
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    assert path.stat().st_size < tool().BYTES_MAX
    kept = nbformat.read(path, as_version=4)
    began = time.monotonic()
    now = tool().execute(path)
    assert time.monotonic() - began < 30
    for before, after in zip(kept.cells, now.cells):
        if before.cell_type != "code":
            continue
        kinds = [[(one.output_type, sorted(one.get("data", {}))) for one in cell.outputs] for cell in (before, after)]
        assert kinds[0] == kinds[1], f"{path.name}: other outputs than are checked in; tests/tools/notebooks --write"


def test_there_are_notebooks():
    assert [path.stem[0] for path in BOOKS] == ["1", "2", "3", "4", "5", "6"]
