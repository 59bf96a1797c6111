"""What is remarkable in single places of a Python migration: imports, time, chance, handlers."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from .problems import Problem, problem
from .python_names import Names

_CLOCK = frozenset(
    "time.time time.time_ns datetime.datetime.now datetime.datetime.utcnow datetime.datetime.today"
    " datetime.date.today".split()
)
# They read the clock when they are called with fewer arguments than this.
_CLOCK_BY_DEFAULT = {
    "time.localtime": 1,
    "time.gmtime": 1,
    "time.ctime": 1,
    "time.asctime": 1,
    "time.strftime": 2,
}
_RANDOM = frozenset("uuid.uuid1 uuid.uuid4 uuid.uuid6 uuid.uuid7 os.urandom os.getrandom".split())
_RANDOM_MODULES = ("random.", "secrets.")
# Not by chance: a generator with a fixed seed, and what compares or stores.
_FIXED = frozenset(
    "random.seed random.Random random.getstate random.setstate secrets.compare_digest".split()
)
_EVERYTHING = frozenset(
    {"Exception", "BaseException", "builtins.Exception", "builtins.BaseException"}
)
_IMPORTERS = frozenset({"__import__", "importlib.import_module"})


def inspect_import(node: ast.AST, names: Names, siblings: frozenset[str]) -> Iterator[Problem]:
    """Yield the modules that an installation of Python may lack."""
    for module in _modules(node, names):
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names or top in siblings:
            continue
        yield _at(
            node,
            "foreign-import",
            f"It imports {top}, which is neither in the standard library nor beside the migration,"
            " so it fails where that is not installed",
        )


def _modules(node: ast.AST, names: Names) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        # A relative import names the own folder.
        if node.module and not node.level:
            yield node.module
    elif isinstance(node, ast.Call) and names.dotted(node.func) in _IMPORTERS and node.args:
        module = names.constant(node.args[0])
        if module and not module.startswith("."):
            yield module


def inspect_chance(node: ast.AST, names: Names) -> Iterator[Problem]:
    """Yield what reads the clock or random numbers, called or handed on."""
    code = ""
    if isinstance(node, ast.Call):
        name = names.dotted(node.func)
        if _reads_clock_by_default(node, name):
            code = "clock"
        elif name == "random.Random" and not node.args and not node.keywords:
            code = "random"
    elif isinstance(node, (ast.Attribute, ast.Name)) and isinstance(node.ctx, ast.Load):
        name = names.dotted(node)
        if name in _CLOCK:
            code = "clock"
        elif name in _RANDOM or (name.startswith(_RANDOM_MODULES) and name not in _FIXED):
            code = "random"
    if code:
        message = f"{name} gives another value every time, so the migration is not repeatable"
        yield _at(node, code, message)


def _reads_clock_by_default(call: ast.Call, name: str) -> bool:
    return name in _CLOCK_BY_DEFAULT and len(call.args) < _CLOCK_BY_DEFAULT[name]


def inspect_handler(node: ast.AST, names: Names) -> Iterator[Problem]:
    """Yield what hides every failure, so that half a change would be committed."""
    message = "It hides every failure, so that half a change is committed as if it were whole"
    if isinstance(node, ast.ExceptHandler):
        if _catches_everything(node.type, names) and not _raises(node):
            # Its own line only: the span of a handler is its whole body.
            yield problem("catch-all", node.lineno, message)
    elif isinstance(node, ast.Call) and _suppresses_everything(node, names):
        yield _at(node, "catch-all", message)


def _suppresses_everything(call: ast.Call, names: Names) -> bool:
    return names.dotted(call.func) == "contextlib.suppress" and any(
        _catches_everything(argument, names) for argument in call.args
    )


def _catches_everything(kind: ast.expr | None, names: Names) -> bool:
    if kind is None:
        return True
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(names.dotted(each) in _EVERYTHING for each in kinds)


def _raises(handler: ast.ExceptHandler) -> bool:
    """Tell whether the handler raises somewhere; a function that it defines does so later."""
    pending: list[ast.AST] = [*handler.body]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Raise):
            return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            pending.extend(ast.iter_child_nodes(node))
    return False


def _at(node: ast.AST, code: str, message: str) -> Problem:
    line = getattr(node, "lineno", 1)
    return problem(code, line, message, span=(line, getattr(node, "end_lineno", None) or line))
