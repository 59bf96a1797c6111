"""Versioned, reversible, crash-safe migrations of a project's ``.claude/`` state."""

__version__ = "0.2.0"
