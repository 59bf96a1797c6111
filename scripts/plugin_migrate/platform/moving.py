"""Moving, exchanging and removing files, with the same functions on all systems.

Apart from the rest of what differs between systems, because reading needs none of it. A test holds
that both sides offer the same names.
"""

import sys

if sys.platform == "win32":
    from .windows_moving import *  # noqa: F403
else:
    from .posix_moving import *  # noqa: F403
