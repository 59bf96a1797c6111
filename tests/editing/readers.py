"""The two that read a header, and the rule that every edit keeps."""

from __future__ import annotations

from typing import Any

import yaml

from plugin_migrate.editing import client_reading
from plugin_migrate.editing.tree import fingerprint


def client(text: str) -> Any:
    """What the client makes of a header; ``None`` if it makes nothing of it."""
    reading = client_reading.read(text)
    if not reading.readable:
        return None
    return {} if reading.fields is None else reading.fields.value()


def pyyaml(text: str) -> Any:
    """What PyYAML makes of a header as it stands; ``None`` if it makes nothing of it."""
    end = client_reading.closing(text)
    if end is None:
        return {}
    try:
        return yaml.safe_load(text[client_reading.opening(text) : end]) or {}
    except yaml.YAMLError:
        return None


def assert_seen(
    before: Any, after: Any, old: dict[str, Any], new: dict[str, Any], where: str
) -> None:
    """Compare what a reader makes of a header before and after an edit of its fields."""
    if before is None:
        assert after in (None, new), where
        return
    assert after is not None, where
    for key in {*old, *new, *before, *after}:
        is_asked = [key in old, fingerprint(old.get(key))] != [
            key in new,
            fingerprint(new.get(key)),
        ]
        expected = new if is_asked else before
        assert after.get(key) == expected.get(key), (where, key)
