"""What a step does about foreign keys: the three words after a marker's ``foreign_keys:``."""

from __future__ import annotations

from enum import Enum


class ForeignKeyMode(Enum):
    """How SQLite treats foreign keys during a step, and who looks at them afterwards.

    ``CHECKED``, the default: not enforced, for a table could not be rebuilt otherwise, and checked
    before the commit. ``ENFORCED``: enforced while the statements run, and checked. ``UNCHECKED``:
    neither, for old migrations whose own rebuilds leave rows without a parent.
    """

    CHECKED = "off"
    ENFORCED = "on"
    UNCHECKED = "unchecked"
