"""What holds for the files of every format, and every edit of them.

Each format's own tests say for which documents; a document that it draws comes as ``text``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from editing.documents import Edit
from plugin_migrate.editing.tree import TreeNode, fingerprint


@dataclass(frozen=True)
class Format:
    """A format's editor: text to value, a changed value to text, and what stands where."""

    load: Callable[[str], Any]
    apply: Callable[[str, Any], str]
    root: Callable[[str], TreeNode]

    def loads(self, text: str, value: object) -> None:
        """Make sure that a document has a value."""
        assert fingerprint(self.load(text)) == fingerprint(value)

    def keeps_all_without_a_change(self, text: str) -> None:
        """Make sure that the value that is there gives the text that is there."""
        assert self.apply(text, self.load(text)) == text

    def can_write(self, text: str, value: object) -> None:
        """Make sure that a value can take the place of a document's."""
        self.loads(self.apply(text, value), value)

    def reads_an_edited_value_back(self, text: str, edits: Sequence[Edit]) -> None:
        """Make sure that a document has the value that edits gave it."""
        value = self.load(text)
        for edit in edits:
            edit(value)

        self.can_write(text, value)

    def takes_back(self, text: str, change: Callable[[Any], None]) -> None:
        """Make sure that a change of the value and its opposite give the text that was there."""
        value = self.load(text)
        change(value)

        changed = self.apply(text, value)

        assert self.apply(changed, self.load(text)) == text

    def takes_back_a_scalar(self, text: str, data: st.DataObject, new: Any) -> None:
        """Make sure of that for a scalar among a document's entries."""
        value = self.load(text)
        key = data.draw(st.sampled_from(list(value)))
        node = next(child.node for child in self.root(text).children if child.key == key)
        # Quotes that were a choice are known only as long as a string stands there.
        old = text[node.start : node.end]
        assume(old == str(value[key]) or old in ("true", "false", "null"))

        self.takes_back(text, lambda value: value.update({key: new}))

    def keeps_siblings(self, text: str, data: st.DataObject, new: Any) -> None:
        """Make sure that other entries keep their text when one gets another value."""
        value = self.load(text)
        changed_key = data.draw(st.sampled_from(list(value)))
        value[changed_key] = new

        changed = self.apply(text, value)

        for child in self.root(text).children:
            if child.key != changed_key:
                assert text[child.start : child.end] in changed

    def renames_only_the_key(self, text: str, data: st.DataObject, new: str) -> None:
        """Make sure that all before and after a key stays when it is renamed."""
        value = self.load(text)
        assume(new not in value)
        old = data.draw(st.sampled_from(list(value)))
        value.rename(old, new)

        changed = self.apply(text, value)

        child = next(child for child in self.root(text).children if child.key == old)
        assert changed.startswith(text[: child.start])
        assert changed.endswith(text[child.label_end :])

    def keeps_reordered_entries(self, text: str, random: Any) -> None:
        """Make sure that entries keep their text when they change places."""
        entries = list(self.load(text).items())
        random.shuffle(entries)

        changed = self.apply(text, dict(entries))

        assert list(self.load(changed)) == [key for key, _ in entries]
        for child in self.root(text).children if entries else ():
            assert text[child.start : child.end] in changed
