"""Put measured tables into a document."""

from __future__ import annotations

from pathlib import Path


def fill_in(file: Path, name: str, text: str) -> None:
    """Replace what stands between ``<!-- NAME -->`` and ``<!-- end of NAME -->`` in a file."""
    first, last = f"<!-- {name} -->", f"<!-- end of {name} -->"
    document = file.read_text(encoding="utf-8")
    head, begun, rest = document.partition(first)
    _, ended, tail = rest.partition(last)
    if not begun or not ended:
        raise SystemExit(f"{file} lacks the lines {first} and {last}")
    file.write_text(f"{head}{first}\n\n{text}\n\n{last}{tail}", encoding="utf-8")
