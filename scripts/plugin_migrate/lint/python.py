"""Findings in Python migrations, by their syntax tree."""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import replace

from . import python_paths, python_rules, python_sql
from .notes import Notes, spread, unfilled
from .problems import Problem, problem
from .python_names import Names, statically

_LAYOUT = frozenset(
    {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
)


def inspect(text: str, siblings: frozenset[str]) -> tuple[list[Problem], Notes]:
    """Return the problems of a Python migration that has been parsed once, and its comments."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the author gets them when the file runs
        tree = ast.parse(text)
    names = Names(tree)
    found = list(_whole(tree))
    found += python_sql.inspect(tree, names)
    for node in statically(tree):
        found += python_paths.inspect(node, names)
        found += python_rules.inspect_import(node, names, siblings)
        found += python_rules.inspect_chance(node, names)
        found += python_rules.inspect_handler(node, names)
    notes = _notes(text, tree)
    found += unfilled(text, notes)
    return _widened(found, tree), notes


def _widened(problems: list[Problem], tree: ast.Module) -> list[Problem]:
    """Return the problems with the lines of their statements: a comment may stand on any of them.

    A statement with a body is no place for that: only its head is about the problem.
    """
    spans: dict[int, tuple[int, int]] = {}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.stmt)
            and not hasattr(node, "body")
            and not isinstance(node, ast.Match)
        ):
            last = node.end_lineno or node.lineno
            spans.update(dict.fromkeys(range(node.lineno, last + 1), (node.lineno, last)))
    wide = []
    for each in problems:
        first, last = spans.get(each.line, (each.first, each.last))
        wide.append(replace(each, first=min(first, each.first), last=max(last, each.last)))
    return wide


def _whole(tree: ast.Module) -> Iterator[Problem]:
    """Yield what concerns the file: a direction that is missing or does nothing."""
    # As when it runs, the last definition counts.
    functions = {
        node.name: node
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    up, down = functions["up"], functions.get("down")
    if _is_empty(up):
        yield problem("empty-up", up.lineno, "up does nothing, and so does the migration")
    if down is not None and _is_empty(down) and not _is_empty(up):
        yield problem("empty-down", down.lineno, "down does nothing, so going back undoes nothing")


def _is_empty(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return all(
        isinstance(node, ast.Pass)
        or (isinstance(node, (ast.Expr, ast.Return)) and _is_plain(node.value))
        for node in function.body
    )


def _is_plain(value: ast.expr | None) -> bool:
    return value is None or isinstance(value, ast.Constant)


def _notes(text: str, tree: ast.Module) -> Notes:
    comments: list[tuple[int, str]] = []
    code: set[int] = set()
    try:
        # Line ends are read as the parser reads them, for the lines to be the same.
        lines = io.StringIO(text, newline=None)
        for token in tokenize.generate_tokens(lines.readline):
            if token.type == tokenize.COMMENT:
                comments.append((token.start[0], token.string))
            elif token.type not in _LAYOUT:
                code.update(range(token.start[0], token.end[0] + 1))
    except (tokenize.TokenError, SyntaxError):
        pass  # it is stricter than the parser in a few odd cases: what came before will do
    definition = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    first = next(node.lineno for node in tree.body if isinstance(node, definition))
    return Notes(spread(comments), frozenset(code), first - 1)
