"""What differs between systems, behind functions that are the same on all of them.

Nothing outside this room asks which system it runs on. ``system`` is :mod:`.posix` (Linux, macOS)
or :mod:`.windows`; a test compares what the two offer, and the type checker reads both.
"""

import sys

if sys.platform == "win32":
    from . import windows as system
else:
    from . import posix as system

__all__ = ["system"]
