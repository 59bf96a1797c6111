"""What the client makes of a command's text before a shell gets it (2.1.330, found in its code)."""

import re
from collections.abc import Mapping


def with_arguments(text: str, typed: str) -> str:
    """Return a command's text with what the user typed in it, the first thing that is put in."""
    return text.replace("$ARGUMENTS", arguments_as_given(typed), 1)


def arguments_as_given(typed: str) -> str:
    """Return the arguments as they stand in the text: no ``!`` in them begins a command."""
    given = typed.strip().replace("`!", "` !").replace("!`", "! `")
    return re.sub(r"(^|\s)!", r"\1\\!", given, flags=re.MULTILINE)


def with_variables(text: str, values: Mapping[str, object]) -> str:
    """Return a text with its variables replaced, those in the arguments too, but not in values."""
    return re.sub(
        r"\$\{(\w+)\}", lambda match: str(values.get(match[1], match[0])), text, flags=re.ASCII
    )
