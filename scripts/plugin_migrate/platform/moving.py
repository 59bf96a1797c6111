"""Moving, exchanging and removing files, with the same functions on all systems.

Apart from the rest of what differs between systems, because reading needs none of it.
"""

import sys

if sys.platform == "win32":
    from .windows_moving import (
        copy_attributes,
        discard,
        exchange,
        finish_exchange,
        is_mid_exchange,
        place,
        remove,
        remove_folder,
        rename,
        replace,
    )
else:
    from .posix_moving import (
        copy_attributes,
        discard,
        exchange,
        finish_exchange,
        is_mid_exchange,
        place,
        remove,
        remove_folder,
        rename,
        replace,
    )

__all__ = [
    "copy_attributes",
    "discard",
    "exchange",
    "finish_exchange",
    "is_mid_exchange",
    "place",
    "remove",
    "remove_folder",
    "rename",
    "replace",
]
