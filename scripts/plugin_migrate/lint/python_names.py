"""What the names in a Python file stand for, as far as its text tells.

Scopes are not told apart: a name counts as what it is only if it is that everywhere in the file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

_MANY = 50  # how many names may stand for names that stand for names


class Names:
    """The names of one file.

    Parameters:
        tree: the file.
    """

    def __init__(self, tree: ast.Module) -> None:
        self._imports: dict[str, str] = {}
        self._values: dict[str, list[ast.expr]] = {}
        self._opaque: set[str] = set()
        assigned: set[ast.expr] = set()
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self._imports.update(_imported(node))
            elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)):
                for name, target, value in _assigned(node):
                    self._values.setdefault(name, []).append(value)
                    assigned.add(target)
            else:
                self._opaque.update(_bound(node, assigned))

    def dotted(self, expression: ast.expr) -> str:
        """Return what is imported under an expression: ``dt.now`` as ``datetime.datetime.now``.

        A builtin is itself. Nothing for what is neither.
        """
        following: list[str] = []
        while isinstance(expression, ast.Attribute):
            following.append(expression.attr)
            expression = expression.value
        if not isinstance(expression, ast.Name):
            return ""
        name = expression.id
        if name in self._opaque or name in self._values:
            return ""
        return ".".join([self._imports.get(name, name), *reversed(following)])

    def values(self, name: str) -> list[ast.expr]:
        """Return every value that is assigned to ``name``, or nothing if there may be others."""
        if name in self._opaque or name in self._imports:
            return []
        return self._values.get(name, [])

    def constant(self, expression: ast.expr) -> str | None:
        """Return the string that an expression is, followed through names."""
        for _ in range(_MANY):
            if isinstance(expression, ast.Constant):
                return expression.value if isinstance(expression.value, str) else None
            if not isinstance(expression, ast.Name):
                return None
            values = self.values(expression.id)
            if len(values) != 1:
                return None
            expression = values[0]
        return None


def statically(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield every node that can run: what only type checkers see is left out."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, ast.If) and _is_for_type_checkers(node.test):
            pending.extend(node.orelse)
        else:
            pending.extend(ast.iter_child_nodes(node))


def _is_for_type_checkers(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return bool(name == "TYPE_CHECKING")


def _imported(node: ast.Import | ast.ImportFrom) -> Iterable[tuple[str, str]]:
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, f"{'.' * node.level}{node.module or ''}.{alias.name}"
        elif alias.asname:
            yield alias.asname, alias.name
        else:
            # `import os.path` binds `os`.
            top = alias.name.partition(".")[0]
            yield top, top


def _assigned(
    node: ast.Assign | ast.AnnAssign | ast.NamedExpr,
) -> Iterator[tuple[str, ast.expr, ast.expr]]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    for target in targets:
        if isinstance(target, ast.Name) and node.value is not None:
            yield target.id, target, node.value


def _bound(node: ast.AST, assigned: set[ast.expr]) -> Iterator[str]:
    """Yield the names that a node binds to what is not known: arguments, loops, functions."""
    if isinstance(node, ast.Name):
        if not isinstance(node.ctx, ast.Load) and node not in assigned:
            yield node.id
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(
        node,
        ast.FunctionDef
        | ast.AsyncFunctionDef
        | ast.ClassDef
        | ast.ExceptHandler
        | ast.MatchAs
        | ast.MatchStar,
    ):
        if node.name:
            yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest
