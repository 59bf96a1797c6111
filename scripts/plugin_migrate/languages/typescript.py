"""Migrations in TypeScript and JavaScript: ``export const migration = { up(ctx), down(ctx) }``.

The text is read with ``javascript/module_text.py`` and only executed as a step of a run, by a
JavaScript engine in a child process. What is loaded there is the text that was prepared, from a
copy beside the staged helpers of the migration: its file may have changed since, or be gone.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from ..errors import BrokenMigration, Irreversible, StepFailed
from .foreign_key_mode import ForeignKeyMode
from .javascript import module_text
from .javascript.module_text import ModuleScript

TYPE_CHECKING = False  # `status` reads these files too, and must not load what only runs them
if TYPE_CHECKING:
    from ..sandbox.context import Context
    from ..workspace import Workspace
    from .javascript.runtime import Runtime

_TYPED = (".ts", ".mts")


@dataclass(frozen=True, slots=True)
class ScriptAction:
    """One function of a TypeScript or JavaScript migration, not executed."""

    source: str
    file: str
    direction: str
    is_module: bool
    touches_files = True
    atomic = True
    foreign_keys = ForeignKeyMode.CHECKED

    def require(self, workspace: Workspace) -> None:
        """Make sure that there is a JavaScript engine.

        Raises:
            NoRuntime: there is none that can run it.
        """
        self._runtime(workspace)

    def run(self, context: Context) -> None:
        """Execute the file in the run's child process and call its function.

        Raises:
            StepFailed: the author's code failed; carries the author's own stack.
        """
        from .javascript.calls import Calls
        from .javascript.child import ChildProcess, Died
        from .javascript.failure import failure_of
        from .javascript.place import placed

        runtime = self._runtime(context.workspace)
        child = context.kept_processes.get(runtime, lambda: ChildProcess(runtime))
        with placed(self, context) as file, closing(Calls(context)) as calls:
            request = {
                "file": file,
                "direction": self.direction,
                "claude": str(context.claude),
                "folder": str(context.project),
            }
            try:
                outcome = child.run(request, calls.answer)
            except Died as died:
                raise StepFailed(f"The migration's process {died.how}", file=self.file) from None
            unfinished = calls.open_edit()
        if "failed" in outcome:
            raise failure_of(self, outcome["failed"], calls, file, context)
        if unfinished is not None:
            raise StepFailed(
                f"The edit of {unfinished} was not finished when the migration returned",
                file=self.file,
                hint="Write: await ctx.editJson(...) where the function that edits is async.",
            )

    def _runtime(self, workspace: Workspace) -> Runtime:
        from .javascript.place import project_of
        from .javascript.runtime import find_runtime

        return find_runtime(self.file.endswith(_TYPED), project_of(workspace), self.file)


class TypeScript:
    """How TypeScript and JavaScript migrations are read and run."""

    def parse(self, text: str, file: str) -> ModuleScript:
        """Return what the text says about itself; what is computed there stays unknown."""
        return module_text.parse(text)

    def prepare(self, text: str, file: str, direction: str) -> ScriptAction:
        """Return the function for ``direction``, or refuse it before anything runs.

        Raises:
            BrokenMigration: it exports no migration.
            Irreversible: there is no ``down``.
        """
        script = module_text.parse(text)
        if not script.is_migration:
            raise BrokenMigration(
                "The file exports no migration with an up function",
                file=file,
                line=script.line or 1,
                hint="Write:  export const migration = { async up(ctx) { ... } };",
            )
        if direction == "down" and not script.has_down:
            raise Irreversible(
                "The migration has no down function, so it cannot be rolled back",
                file=file,
                hint="Write a new migration that undoes it, or restore a backup.",
            )
        is_module = script.is_module or file.endswith((".mts", ".mjs"))
        return ScriptAction(text, file, direction, is_module)


LANGUAGE = TypeScript()
