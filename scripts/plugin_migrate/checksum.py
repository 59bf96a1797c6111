"""Checksums of migration files that survive a checkout on another system."""

from __future__ import annotations

import sys

# hashlib loads OpenSSL, 3 ms that `status` cannot spare; `random` in the standard library takes
# its SHA-512 the same way.
try:
    if sys.version_info >= (3, 12):
        from _sha2 import sha256  # type: ignore[import-not-found]
    else:
        from _sha256 import sha256  # type: ignore[import-not-found]
except ImportError:
    from hashlib import sha256

_BOM = b"\xef\xbb\xbf"
_TAG = "sha256:"


def checksum_of(content: bytes) -> str:
    """Return ``sha256:`` and the digest of a file's text.

    A byte order mark is dropped and CRLF becomes LF first (design, "Migration files").
    """
    text = content.removeprefix(_BOM).replace(b"\r\n", b"\n")  # unchanged: no copies
    digest: str = sha256(text).hexdigest()
    return _TAG + digest


def is_verifiable(checksum: str) -> bool:
    """Return whether this tool can recompute ``checksum``: it carries an algorithm tag we know.

    A row that another engine wrote has none; it is applied, and unverifiable rather than modified.
    """
    return checksum.startswith(_TAG)


def same_text(first: str, second: str) -> bool:
    """Return whether two sources differ at most in BOM, CRLF and the final newline."""
    return _essence(first) == _essence(second)


def _essence(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").rstrip("\n")
