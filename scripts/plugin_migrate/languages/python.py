"""Migrations in Python: module-level literals, ``up(ctx)`` and usually ``down(ctx)``.

The file is read with ``ast`` and only executed as a step of a run.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import linecache
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType, ModuleType

from ..errors import BrokenMigration, Irreversible, MigrateError, StepFailed
from .foreign_key_mode import ForeignKeyMode

TYPE_CHECKING = False  # `status` reads Python files too, and must not load what only runs them
if TYPE_CHECKING:
    from ..sandbox.context import Context
    from ..workspace import Workspace

_MODULE_NAME = "plugin_migrate_step"
_OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


@dataclass(frozen=True, slots=True)
class PythonScript:
    """What a Python migration says about itself."""

    description: str | None
    version: str | None
    metadata: Mapping[str, object]
    functions: frozenset[str] = field(default_factory=frozenset)

    @property
    def has_down(self) -> bool:
        """Whether there is a ``down``."""
        return "down" in self.functions


@dataclass(frozen=True, slots=True)
class PythonAction:
    """One function of a Python migration, compiled but not executed."""

    code: CodeType
    source: str
    file: str
    direction: str
    touches_files = True
    atomic = True
    foreign_keys = ForeignKeyMode.CHECKED

    def require(self, workspace: Workspace) -> None:
        """Return: what runs this has it all."""

    def run(self, context: Context) -> None:
        """Execute the file and call its function.

        Raises:
            StepFailed: the author's code raised; carries the author's own traceback frames.
        """
        from ..sandbox.signals import Stop

        with _importable_folder(os.path.dirname(self.file)):
            try:
                self._call(context)
            except (MigrateError, Stop):
                raise
            except BaseException as error:  # sys.exit, a cancelled task and the like
                raise self._failure(error, context) from error

    def _call(self, context: Context) -> None:
        # A stored source has no file to take the traceback's lines from.
        lines = self.source.splitlines(keepends=True)
        linecache.cache[self.file] = (len(self.source), None, lines, self.file)
        module = ModuleType(_MODULE_NAME)
        module.__file__ = self.file
        sys.modules[_MODULE_NAME] = module  # where dataclasses and others look the module up
        exec(self.code, module.__dict__)  # noqa: S102 - running migrations is the purpose
        result = getattr(module, self.direction)(context)
        if inspect.isawaitable(result):
            import asyncio

            asyncio.run(_awaited(result))

    def _failure(self, error: BaseException, context: Context) -> StepFailed:
        from ..sandbox.authorizer import Refused
        from ..sandbox.file_watch import Outside
        from ..sandbox.live_paths import is_library

        frames = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if not frame.filename.startswith((_OWN_FOLDER, "<frozen"))
            and frame.filename != contextlib.__file__  # between two frames of ours
        ]
        own = [frame for frame in frames if frame.filename == self.file]
        if own:
            # What stands before is the way there: asyncio, for an `async` function.
            frames = frames[frames.index(own[0]) :]
        frames = [frame for frame in frames if not is_library(frame.filename)]
        message = "".join(traceback.format_exception_only(error)).strip()
        if isinstance(error, (Refused, Outside)):
            message = str(error)  # a sentence of ours
        if isinstance(error, SystemExit):
            message = f"The migration called sys.exit({error.code!r})"
        return StepFailed(
            message,
            file=self.file,
            line=own[-1].lineno if own else None,
            details=("".join(traceback.format_list(frames)).rstrip(),) if frames else (),
            hint=_advice(error, context),
        )


def _advice(error: BaseException, context: Context) -> str | None:
    path = context.database_in(str(error)) if isinstance(error, OSError) else None
    return path and (
        f"{path} is a database, which the copy of the files does not hold. Use"
        f' ctx.database("{path}"), ctx.move_database(old, new) or ctx.remove_database(path).'
    )


class Python:
    """How Python migrations are read and run."""

    def parse(self, text: str, file: str) -> PythonScript:
        """Return description, version, metadata and functions without executing the text.

        Raises:
            BrokenMigration: a syntax error, no ``up``, or values that are not plain literals.
        """
        tree = _syntax_tree(text, file)
        functions = frozenset(
            node.name
            for node in tree.body
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        )
        if "up" not in functions:
            raise BrokenMigration(
                "The migration has no up function",
                file=file,
                hint="Add:  def up(ctx): ...",
            )
        found = dict(_literals(tree, file))
        return PythonScript(
            description=_text(found, "description", file) or _first_line(ast.get_docstring(tree)),
            version=_text(found, "version", file),
            metadata=_mapping(found, "metadata", file),
            functions=functions,
        )

    def prepare(self, text: str, file: str, direction: str) -> PythonAction:
        """Return the function for ``direction``, compiled, or refuse it before anything runs.

        Raises:
            BrokenMigration: a syntax error, or no ``up``.
            Irreversible: there is no ``down``.
        """
        script = self.parse(text, file)
        if direction not in script.functions:
            raise Irreversible(
                "The migration has no down function, so it cannot be rolled back",
                file=file,
                hint="Write a new migration that undoes it, or restore a backup.",
            )
        with _refused_as_broken(file):
            code = compile(text, file, "exec", dont_inherit=True)
        return PythonAction(code, text, file, direction)


async def _awaited(result: object) -> None:
    await result  # type: ignore[misc]


def _syntax_tree(text: str, file: str) -> ast.Module:
    with _refused_as_broken(file), warnings.catch_warnings():
        # They are for the author, who gets them when the file is compiled to run.
        warnings.simplefilter("ignore")
        return ast.parse(text, file)


@contextmanager
def _refused_as_broken(file: str) -> Iterator[None]:
    """Turn what the compiler says about a file into our error."""
    try:
        yield
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BrokenMigration(
            f"The migration is not valid Python: {getattr(error, 'msg', None) or error}",
            file=file,
            line=getattr(error, "lineno", None),
            hint="Correct the line, then run the command again.",
        ) from None


def _literals(tree: ast.Module, file: str) -> Iterator[tuple[str, tuple[object, int]]]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value = node.target, node.value
        else:
            continue
        if isinstance(target, ast.Name) and target.id in ("description", "version", "metadata"):
            try:
                yield target.id, (ast.literal_eval(value), node.lineno)
            except (ValueError, TypeError, RecursionError, MemoryError):
                raise BrokenMigration(
                    f"{target.id} must be a plain literal: it is read without running the file",
                    file=file,
                    line=node.lineno,
                    hint=f"Write the value out, for example {target.id} = ...",
                ) from None


def _text(found: Mapping[str, tuple[object, int]], name: str, file: str) -> str | None:
    value, line = found.get(name, (None, 0))
    if value is not None and not isinstance(value, str):
        raise BrokenMigration(f"{name} must be a string", file=file, line=line)
    return value or None


def _mapping(found: Mapping[str, tuple[object, int]], name: str, file: str) -> Mapping[str, object]:
    value, line = found.get(name, ({}, 0))
    if not isinstance(value, dict) or not _has_text_keys(value):
        raise BrokenMigration(f"{name} must be a dictionary with string keys", file=file, line=line)
    return value


def _has_text_keys(value: object) -> bool:
    """Return whether ``value`` can be kept as JSON."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _has_text_keys(value[key]) for key in value)
    return not isinstance(value, (list, tuple)) or all(map(_has_text_keys, value))


def _first_line(docstring: str | None) -> str | None:
    return docstring.strip().partition("\n")[0].rstrip(". ") or None if docstring else None


@contextmanager
def _importable_folder(folder: str) -> Iterator[None]:
    """Let a migration import helpers (``_helpers.py``) that lie beside it, leaving no trace.

    The folder comes last, so that a file there cannot take a standard module's place.
    """
    before = set(sys.modules)
    path = list(sys.path)
    wrote_bytecode = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path[:] = path
        sys.dont_write_bytecode = wrote_bytecode
        for name in set(sys.modules) - before:
            origin = getattr(sys.modules[name], "__file__", None) or ""
            if origin.startswith(folder + os.sep):
                del sys.modules[name]


LANGUAGE = Python()
