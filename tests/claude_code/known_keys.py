"""The front matter keys that the client knows; it ignores any other one without a word.

Taken from the schemas in the program itself, version 2.1.330, without those marked ``@internal``
there and without aliases; ``test_known_keys.py`` compares them where the client is installed.
"""

COMMAND_KEYS = frozenset(
    "name description model allowed-tools disallowed-tools argument-hint disable-model-invocation"
    " user-invocable effort shell".split()
)
SKILL_KEYS = COMMAND_KEYS | frozenset(
    "when_to_use paths hooks context agent background metadata".split()
)
