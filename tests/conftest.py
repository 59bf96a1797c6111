"""Lets the tests import the package from ``scripts/``, as the launcher does."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
