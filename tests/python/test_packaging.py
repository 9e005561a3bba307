"""What is installed is whole: `cmake --install`, which is what pip has scikit-build-core do, into an empty folder. The whole of
`pip install .` takes a build and the network: tests/full.d/85-pip.sh."""
import os
import pathlib
import subprocess
import sys
import tomllib

import klamm

ROOT = pathlib.Path(os.environ.get("KLAMM_SOURCE_DIR") or pathlib.Path(__file__).parents[2])
BUILD = pathlib.Path(os.environ["KLAMM_BINARY_DIR"])


def test_what_is_installed_works_from_there(tmp_path):
    subprocess.run(["cmake", "--install", BUILD / "bindings" / "python", "--prefix", tmp_path], check=True,
                   stdout=subprocess.DEVNULL)
    assert {path.name for path in tmp_path.iterdir()} == {"klamm"}
    here = {path.name for path in pathlib.Path(klamm.__file__).parent.iterdir() if path.name != "__pycache__"}
    assert {path.name for path in (tmp_path / "klamm").iterdir()} == here
    program = ("import klamm; print(klamm.__file__); "
               "print(klamm.World(seed=7).producer().send('orders', b'v'), klamm.storm([1], 'calm', length=2)[0].verdict)")
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)},
                          check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout.split() == [str(tmp_path / "klamm" / "__init__.py"), "0", "passed"]


def test_the_project_says_how_it_is_built():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["build-system"]["build-backend"] == "scikit_build_core.build"
    assert project["project"]["name"] == "klamm" and project["project"]["requires-python"] == ">=3.11"
    assert project["tool"]["scikit-build"]["build"]["targets"] == ["_klamm"]
