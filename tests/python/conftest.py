"""What all tests of the Python module share: hypothesis draws the same examples each time, and scenarios are found."""
import os
import pathlib

import hypothesis
import pytest

hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("fixed")


@pytest.fixture
def scenarios():
    """The folder of scenario files."""
    root = os.environ.get("KLAMM_SOURCE_DIR") or pathlib.Path(__file__).parents[2]
    return pathlib.Path(root) / "scenarios"
