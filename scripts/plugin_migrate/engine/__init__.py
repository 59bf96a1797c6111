"""The commit protocol (docs/design.md), one clause a module."""
