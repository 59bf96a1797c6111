"""Paths that calls write to: absolute ones, databases handled as files, names no Windows has.

The first pass the staged copy by, so that nothing can undo them; the second are not in it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from ..platform.windows_names import unusable_part
from .problems import Problem, problem
from .python_names import Names

_ABSOLUTE = re.compile(r"/|\\\\|[A-Za-z]:[\\/]")
_WRITING_MODE = re.compile("[wax+]")
_DATABASE = re.compile(r"\.(db|sqlite|sqlite3)\Z")
_MANY = 50  # how many names one path is followed through

_OPENERS = frozenset({"open", "io.open", "codecs.open"})
# Which arguments of a function name what it writes: position and keyword.
_WRITTEN = {
    "os.open": ((0, "path"),),
    "os.remove": ((0, "path"),),
    "os.unlink": ((0, "path"),),
    "os.rmdir": ((0, "path"),),
    "os.removedirs": ((0, "name"),),
    "os.mkdir": ((0, "path"),),
    "os.makedirs": ((0, "name"),),
    "os.chmod": ((0, "path"),),
    "os.chown": ((0, "path"),),
    "os.truncate": ((0, "path"),),
    "os.utime": ((0, "path"),),
    "os.mkfifo": ((0, "path"),),
    "os.rename": ((0, "src"), (1, "dst")),
    "os.renames": ((0, "old"), (1, "new")),
    "os.replace": ((0, "src"), (1, "dst")),
    "os.link": ((1, "dst"),),
    "os.symlink": ((1, "dst"),),
    "shutil.copy": ((1, "dst"),),
    "shutil.copy2": ((1, "dst"),),
    "shutil.copyfile": ((1, "dst"),),
    "shutil.copymode": ((1, "dst"),),
    "shutil.copystat": ((1, "dst"),),
    "shutil.copytree": ((1, "dst"),),
    "shutil.move": ((0, "src"), (1, "dst")),
    "shutil.rmtree": ((0, "path"),),
    "shutil.chown": ((0, "path"),),
    "shutil.make_archive": ((0, "base_name"),),
    "shutil.unpack_archive": ((1, "extract_dir"),),
}
_WRITING_METHODS = frozenset(
    "write_text write_bytes touch mkdir unlink rmdir chmod lchmod symlink_to hardlink_to".split()
)
# `rename` and `replace` are methods of other things too, which take two arguments.
_MOVING_METHODS = frozenset({"rename", "replace"})

# What moves, copies or removes a file takes it from its first argument.
_TAKERS = frozenset(
    "os.remove os.unlink os.rename os.renames os.replace os.link shutil.copy shutil.copy2"
    " shutil.copyfile shutil.move".split()
)
_TAKING_METHODS = frozenset({"unlink", "rename", "replace"})

_PATHS = frozenset(f"pathlib.{name}" for name in ("Path", "PosixPath", "PurePath", "WindowsPath"))
_HOMES = frozenset({"os.path.expanduser", *(f"{path}.home" for path in _PATHS)})
_SAME_PLACE = frozenset(
    {"str", "os.fspath", "os.path.normpath", "os.path.abspath", "os.path.realpath"}
    | {"os.path.dirname"}
)
_SAME_PLACE_METHODS = frozenset(
    "joinpath with_name with_stem with_suffix resolve absolute as_posix".split()
)


def inspect(node: ast.AST, names: Names) -> Iterator[Problem]:
    """Yield the problems of the paths that a call writes to."""
    if not isinstance(node, ast.Call):
        return
    if any(
        _is_staged(path, names) and _ends_as_database(path, names) for path in _taken(node, names)
    ):
        yield problem(
            "database-file",
            node.lineno,
            "It handles a database as a file, but the copy of the files holds no databases, so it"
            " fails",
            span=(node.lineno, node.end_lineno or node.lineno),
        )
    targets = list(_targets(node, names))
    if any(_is_absolute(path, names, {}) for path in targets):
        yield problem(
            "absolute-path",
            node.lineno,
            "It writes by an absolute path, past the copy that is published with the step, so a"
            " failure does not undo it",
            span=(node.lineno, node.end_lineno or node.lineno),
        )
        return
    for text in (text for path in targets for text in _texts(path, names)):
        if unusable_part(text) is not None:
            yield unusable_name(text, node.lineno, (node.lineno, node.end_lineno or node.lineno))
            return


def unusable_name(path: str, line: int, span: tuple[int, int]) -> Problem:
    """Return the problem that a path is none on Windows."""
    return problem(
        "windows-name",
        line,
        f"It writes {path!r}, and Windows has no files called {unusable_part(path)!r}",
        span=span,
    )


def _texts(path: ast.expr, names: Names) -> Iterator[str]:
    """Yield the parts of a path that are written out."""
    text = names.constant(path)
    if text is not None:
        yield text
    elif isinstance(path, ast.BinOp) and isinstance(path.op, ast.Div):
        yield from _texts(path.left, names)
        yield from _texts(path.right, names)
    elif isinstance(path, ast.Call):
        is_method = isinstance(path.func, ast.Attribute) and path.func.attr in _SAME_PLACE_METHODS
        if is_method or names.dotted(path.func) in _PATHS | {"os.path.join"}:
            for argument in path.args:
                yield from _texts(argument, names)


def _taken(call: ast.Call, names: Names) -> Iterator[ast.expr]:
    """Yield the path that a call moves, copies or removes."""
    if names.dotted(call.func) in _TAKERS:
        yield from call.args[:1]
    elif isinstance(call.func, ast.Attribute) and call.func.attr in _TAKING_METHODS:
        yield call.func.value


def _is_staged(path: ast.expr, names: Names) -> bool:
    """Tell whether a path is known to begin at ``ctx.claude``, or at a relative ``.claude``."""
    return _holds(path, names, {}, lambda part: _begins_staged(part, names))


def _ends_as_database(path: ast.expr, names: Names) -> bool:
    """Tell whether the last part of a path is known to be the name of a database."""
    return _holds(path, names, {}, _last_part)


def _holds(
    path: ast.expr,
    names: Names,
    known: dict[str, bool],
    follow: Callable[[ast.expr], ast.expr | bool],
) -> bool:
    """Follow a path through names until ``follow`` knows; of a name, for all its values.

    ``known`` keeps what has been found out; a name that leads to itself decides nothing.
    """
    found: ast.expr | bool = path
    while not isinstance(found, bool):
        if not isinstance(found, ast.Name):
            found = follow(found)
        elif found.id in known:
            return known[found.id]
        else:
            known[found.id] = True
            values = names.values(found.id) if len(known) <= _MANY else []
            known[found.id] = bool(values) and all(
                _holds(each, names, known, follow) for each in values
            )
            return known[found.id]
    return found


def _begins_staged(path: ast.expr, names: Names) -> ast.expr | bool:
    if isinstance(path, ast.Constant):
        return isinstance(path.value, str) and path.value.startswith(".claude/")
    if isinstance(path, ast.Attribute) and path.attr in ("claude", "project"):
        return True
    return _beginning(path, names) or False


def _last_part(path: ast.expr) -> ast.expr | bool:
    if isinstance(path, ast.Constant):
        return isinstance(path.value, str) and _DATABASE.search(path.value) is not None
    if isinstance(path, ast.BinOp):
        return path.right
    if isinstance(path, ast.JoinedStr) and path.values:
        return path.values[-1]
    if isinstance(path, ast.Call) and path.args:
        return path.args[-1]
    return False


def _targets(call: ast.Call, names: Names) -> Iterator[ast.expr]:
    """Yield the paths that a call writes to."""
    name = names.dotted(call.func)
    if name in _OPENERS:
        if _is_writing(_argument(call, 1, "mode"), names):
            yield from _given(call, 0, "file")
    elif name in _WRITTEN:
        if name != "os.open" or not _is_reading_only(call, names):
            for position, keyword in _WRITTEN[name]:
                yield from _given(call, position, keyword)
    elif isinstance(call.func, ast.Attribute):
        yield from _targets_of_method(call, call.func, names)


def _targets_of_method(call: ast.Call, method: ast.Attribute, names: Names) -> Iterator[ast.expr]:
    if method.attr in _WRITING_METHODS:
        yield method.value
    elif method.attr in _MOVING_METHODS and len(call.args) == 1:
        yield method.value
        yield call.args[0]
    elif method.attr == "open" and _is_writing(_argument(call, 0, "mode"), names):
        yield method.value


def _argument(call: ast.Call, position: int, keyword: str) -> ast.expr | None:
    return next(_given(call, position, keyword), None)


def _given(call: ast.Call, position: int, keyword: str) -> Iterator[ast.expr]:
    if len(call.args) > position:
        yield call.args[position]
    yield from (given.value for given in call.keywords if given.arg == keyword)


def _is_writing(mode: ast.expr | None, names: Names) -> bool:
    text = names.constant(mode) if mode is not None else None
    return text is not None and _WRITING_MODE.search(text) is not None


def _is_reading_only(call: ast.Call, names: Names) -> bool:
    flags = _argument(call, 1, "flags")
    return flags is not None and names.dotted(flags) == "os.O_RDONLY"


def _is_absolute(path: ast.expr, names: Names, known: dict[str, bool]) -> bool:
    """Tell whether a path is known to be absolute: by its text, or as it begins at home.

    A path is followed to where it begins, through ``/``, ``joinpath`` and the like, and through
    names; ``known`` keeps what has been found out about those.
    """
    start: ast.expr | None = path
    while start is not None:
        if isinstance(start, ast.Constant):
            return isinstance(start.value, str) and _ABSOLUTE.match(start.value) is not None
        if isinstance(start, ast.Name):
            if start.id == "__file__":
                return True  # where the migration lies: in the live state
            if start.id not in known:
                known[start.id] = False  # until it is found out, for a name may lead to itself
                values = names.values(start.id) if len(known) <= _MANY else []
                known[start.id] = bool(values) and all(
                    _is_absolute(each, names, known) for each in values
                )
            return known[start.id]
        if isinstance(start, ast.Call):
            if _begins_at_home(start, names) or _has_absolute_part(start):
                return True
        elif isinstance(start, ast.BinOp) and _is_absolute_text(start.right):
            return isinstance(start.op, ast.Div)  # an absolute right side replaces the left one
        start = _beginning(start, names)
    return False


def _beginning(path: ast.expr, names: Names) -> ast.expr | None:
    """Return the part of a path that decides where it begins; nothing when that is unknown."""
    if isinstance(path, ast.JoinedStr):
        return path.values[0] if path.values else None
    if isinstance(path, (ast.FormattedValue, ast.Subscript)):
        return path.value
    if isinstance(path, ast.BinOp) and isinstance(path.op, (ast.Div, ast.Add)):
        return path.left
    if isinstance(path, ast.Attribute):
        return path.value if path.attr in ("parent", "parents") else None
    if isinstance(path, ast.Call):
        name = names.dotted(path.func)
        if name in _PATHS | _SAME_PLACE | {"os.path.join"}:
            return path.args[0] if path.args else None
        if isinstance(path.func, ast.Attribute) and path.func.attr in _SAME_PLACE_METHODS:
            return path.func.value
    return None


def _begins_at_home(call: ast.Call, names: Names) -> bool:
    is_method = isinstance(call.func, ast.Attribute) and call.func.attr == "expanduser"
    return is_method or names.dotted(call.func) in _HOMES


def _has_absolute_part(call: ast.Call) -> bool:
    """Tell whether ``Path(a, "/b")`` or ``a.joinpath("/b")`` is the absolute path in it."""
    return any(_is_absolute_text(argument) for argument in call.args)


def _is_absolute_text(part: ast.expr) -> bool:
    return (
        isinstance(part, ast.Constant)
        and isinstance(part.value, str)
        and _ABSOLUTE.match(part.value) is not None
    )
