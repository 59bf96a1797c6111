"""The SQL in a Python migration: strings handed to ``execute`` and ``executemany``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from ..languages import sql_text
from ..languages.sql_text import Section
from .problems import Problem
from .python_names import Names
from .sql_changes import HOLE, HOLE_END
from .sql_rules import PlacedStatement, step_of
from .sql_rules import inspect as inspect_steps
from .sql_tokens import scan

_METHODS = frozenset({"execute", "executemany", "executescript"})

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def inspect(tree: ast.Module, names: Names) -> list[Problem]:
    """Return what is remarkable about the SQL that ``up`` and ``down`` run."""
    found, past = inspect_steps(list(_steps(tree, names, "up")))
    found += inspect_steps(list(_steps(tree, names, "down")), past)[0]
    # A statement has no line of its own here: it may come from a constant elsewhere.
    return [replace(problem, line=problem.first) for problem in found]


def _steps(tree: ast.Module, names: Names, function: str) -> Iterator[PlacedStatement]:
    for call in _calls(tree, function):
        text = _text(_statement_of(call), names)
        for statement in sql_text.statements(Section(text or "", 1)):
            tokens = scan(statement.text.removesuffix(";")).tokens
            yield step_of(tokens, call.lineno, call.end_lineno or call.lineno)


def _calls(tree: ast.Module, function: str) -> Iterator[ast.Call]:
    """Yield the calls that may run SQL, in the order of the text, as ``function`` reaches them.

    A function of the file is followed where it is first named.
    """
    definitions = {node.name: node for node in tree.body if isinstance(node, _Definition)}
    pending: list[ast.AST] = [definitions.pop(function)] if function in definitions else []
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Call) and _statement_of(node) is not None:
            yield node
        if isinstance(node, ast.Name) and node.id in definitions:
            pending.append(definitions.pop(node.id))
        pending.extend(reversed(list(ast.iter_child_nodes(node))))


def _statement_of(call: ast.Call) -> ast.expr | None:
    """Return the first argument of a call such as ``ctx.db.execute(...)``."""
    if isinstance(call.func, ast.Attribute) and call.func.attr in _METHODS and call.args:
        return call.args[0]
    return None


def _text(expression: ast.expr | None, names: Names) -> str | None:
    """Return the SQL of an expression, with holes where it is known only when it runs."""
    if expression is None:
        return None
    text = "".join(_pieces(expression, names))
    # Nothing but a hole is nothing to judge, and NUL ends a statement for SQLite.
    return None if text.startswith(HOLE) or "\0" in text else text


def _pieces(expression: ast.expr, names: Names) -> Iterator[str]:
    pending = [expression]
    while pending:
        part = pending.pop()
        constant = names.constant(part)
        if constant is not None:
            yield constant
        elif isinstance(part, ast.JoinedStr):
            pending.extend(reversed(part.values))
        elif isinstance(part, ast.FormattedValue):
            pending.append(part.value)
        elif isinstance(part, ast.BinOp) and isinstance(part.op, ast.Add):
            pending += [part.right, part.left]
        elif isinstance(part, ast.Name):
            # The same name is the same table in every statement.
            yield f"{HOLE}{part.id}{HOLE_END}"
        else:
            yield f"{HOLE}{part.lineno}_{part.col_offset}{HOLE_END}"
