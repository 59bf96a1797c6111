"""What Claude Code calls: hooks, and the slash command's dispatch.

Hooks may run before our environment exists, on any Python 3.11 or later: standard library only.
"""
