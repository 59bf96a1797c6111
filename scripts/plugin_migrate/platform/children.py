"""A child process that is talked to, and that ends with us: one class, for this system."""

import sys

if sys.platform == "win32":
    from .windows_child import WindowsChild as Child
else:
    from .posix_child import PosixChild as Child

__all__ = ["Child"]
