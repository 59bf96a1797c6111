"""YAML as PyYAML reads it, except that a key given twice is an error.

YAML 1.2 forbids it (section 3.2.1.3); PyYAML would silently take the last one.
"""

from __future__ import annotations

from collections.abc import Hashable

from yaml import MappingNode, SafeLoader, ScalarNode, YAMLError
from yaml.constructor import ConstructorError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["YAMLError", "load"]


class _Loader(SafeLoader):
    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, ScalarNode):
                continue
            if key.value in seen:
                raise ConstructorError(None, None, f"{key.value!r} is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def load(text: str) -> Any:
    """Return the value that ``text`` spells; ``None`` when nothing stands there.

    Raises:
        YAMLError: it is not YAML, or a mapping has one key twice.
        ValueError: a value is written like a number or a date, and is none.
    """
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()
