"""The files that a step needs whose own half git has brought or taken: from which commit they are.

Nothing is guessed: files that history does not hold only the user can name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping

from ..errors import Call, HistoryLacksTree, InvalidVersion, StateUnreadable, UsageError
from ..git import history
from ..git.command import NoAnswer, Repository
from ..git.trees import write_tree
from ..ledger.record import CommittedRecord, from_text, known_of, read_text
from ..migration import checksum_of
from ..plan import KnownRecord
from ..values import NamedTuple
from ..workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..engine.prepare import Prepared

# What a user says who wants the files as they are here.
HERE = "here"
# Of the commits that have a record, the newest.
_MOST_COMPARED = 50


class Tree(NamedTuple):
    """The files that a step gets.

    ``commit`` has them, or ``None`` for those that are here; ``with_files_of`` is a second one
    whose files are added, of a stash the untracked ones. ``brought_by`` is the commit that carries
    the step's record.
    """

    commit: str | None
    with_files_of: str | None = None
    brought_by: str | None = None


class Chooser:
    """Finds the files for one step after the other.

    Parameters:
        workspace: the live state.
        given: what the user named: a commit, ``here``, or nothing.
        applied: the records of what is applied here, whether they stand or not.

    Raises:
        UsageError: ``given`` is no commit.
    """

    def __init__(
        self, workspace: Workspace, given: str | None, applied: Collection[KnownRecord]
    ) -> None:
        self._workspace = workspace
        self._applied = applied
        self.repository = Repository(workspace.live_claude or workspace.claude)
        self._given: Tree | None = None
        if given == HERE:
            self._given = Tree(None)
        elif given is not None:
            commit = history.resolved(self.repository, given)
            if commit is None:
                raise UsageError(
                    f"Git knows no commit {given}",
                    hint=f"Name a commit, or say {HERE!r} for the files as they are here.",
                )
            self._given = Tree(commit)

    def tree_for(
        self, prepared: Prepared, record: KnownRecord, now: Tree | None, claude: str
    ) -> Tree:
        """Return the files that a step gets; ``now`` itself when it is to go on with its.

        Parameters:
            record: the step's.
            now: the files that the step before got, if there was one.
            claude: where they stand, as that step left them.

        Raises:
            HistoryLacksTree: they cannot be found.
            StateUnreadable: the record is damaged.
        """
        if self._given is not None:
            return now or self._given
        find = self._before if prepared.direction == "up" else self._with
        try:
            return find(prepared, record, now, claude)
        except NoAnswer as error:
            raise _lacking(prepared, f"Git cannot be asked for them: {error}") from None

    def write(self, tree: Tree, prepared: Prepared, claude: str) -> None:
        """Write files into a folder.

        Raises:
            HistoryLacksTree: git does not have all of them.
        """
        try:
            for commit in filter(None, (tree.commit, tree.with_files_of)):
                write_tree(self.repository, commit, claude)
        except NoAnswer as error:
            why = f"Those of {(tree.commit or '')[:12]} cannot be read: {error}"
            raise _lacking(prepared, why) from None

    def read(self, record: KnownRecord) -> CommittedRecord:
        """Return what a record says: that stands with the files, or is in any commit.

        Raises:
            StateUnreadable: there is none, or it is damaged.
        """
        if os.path.lexists(os.path.join(self._workspace.records, record.name)):
            text = read_text(self._workspace, record.name)
            if known_of(record.name, text) == record:
                return from_text(text)
        path = self._path_of(record)
        try:
            commits = history.commits_anywhere(self.repository, path, _fits(record))
            named = [f"{commit}:./{path}" for commit in commits[:1]]
            found = history.contents(self.repository, named)
            return from_text(((found[named[0]] if named else None) or b"").decode())
        except (NoAnswer, ValueError, InvalidVersion):
            raise StateUnreadable(f"No commit has the record {record.name}") from None

    def _before(
        self, prepared: Prepared, record: KnownRecord, now: Tree | None, claude: str
    ) -> Tree:
        """Return the files as they were before the step that git has brought the files of."""
        said = self.read(record)
        if said.checksum != prepared.migration.checksum:
            raise _other_text(prepared)
        path, fits = self._path_of(record), _fits(record)
        anywhere = history.commits_anywhere(self.repository, path, fits)[::-1]
        if now is not None and now.brought_by in anywhere and _are(claude, said.before):
            return now
        here = history.commits_here(self.repository, path, fits)[::-1]
        for commits in (here, anywhere):
            commit = history.commit_before(self.repository, commits, said.before)
            if commit is not None:
                return Tree(commit, brought_by=commits[0])
        raise _lacking(prepared, self._why(here or anywhere, said.before))

    def _with(self, prepared: Prepared, record: KnownRecord, now: Tree | None, claude: str) -> Tree:
        """Return the files that the step stood with which git has taken back."""
        path = self._path_of(record)
        content = _content(os.path.join(claude, path))
        if now is not None and content is not None and _fits(record)(content):
            return now
        commits = history.commits_anywhere(self.repository, path, _fits(record))
        stashed = history.stashes(self.repository)
        trees = [
            Tree(stashed[commit], commit) if commit in stashed else Tree(commit)
            for commit in commits[:_MOST_COMPARED]
        ]
        if not trees:
            raise _lacking(prepared, "No commit has its record")
        return next(filter(self._has_all, trees), trees[0])

    def _has_all(self, tree: Tree) -> bool:
        """Return whether all that is applied here stood in a commit: it was in step then."""
        commits = [one for one in (tree.commit, tree.with_files_of) if one is not None]
        names = {
            record: [f"{commit}:./{self._path_of(record)}" for commit in commits]
            for record in self._applied
        }
        held = history.contents(self.repository, [one for many in names.values() for one in many])
        return all(
            any((content := held[name]) is not None and _fits(record)(content) for name in many)
            for record, many in names.items()
        )

    def _path_of(self, record: KnownRecord) -> str:
        records = os.path.join(self._workspace.records, record.name)
        return os.path.relpath(records, self.repository.folder).replace(os.sep, "/")

    def _why(self, commits: tuple[str, ...], before: Mapping[str, str | None]) -> str:
        if not commits:
            return "Its record is in no commit: commit what is here, or take it back"
        if history.is_shallow(self.repository):
            return "This clone is shallow: its history ends before them"
        if not any(history.parents_of(self.repository, commit) for commit in commits):
            return "They came with the first commit, and nothing is before that"
        files = ", ".join(sorted(before)[:5])
        return f"No commit before {commits[0][:12]} has {files} as the migration found it"


def _fits(record: KnownRecord) -> Callable[[bytes], bool]:
    return lambda content: checksum_of(content) == record.checksum


def _are(claude: str, files: Mapping[str, str | None]) -> bool:
    return all(
        history.is_of(_content(os.path.join(claude, path)), digest)
        for path, digest in files.items()
    )


def _content(path: str) -> bytes | None:
    if not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        return file.read()


def _lacking(prepared: Prepared, why: str) -> HistoryLacksTree:
    command = "upgrade" if prepared.direction == "up" else "sync"
    version = prepared.version
    half = "brought" if prepared.direction == "up" else "took back"
    settled = (
        (Call("baseline", str(version)), "   mark it as applied, without its rows")
        if prepared.direction == "up"
        else (Call("repair", str(version)), "   keep the database as it is")
    )
    return HistoryLacksTree(
        f"Git {half} the files of {version}, and its history does not hold those that its"
        " database half needs",
        details=(why,),
        hint=(
            "Nothing was changed. Get the history (git fetch --unshallow), or decide:\n  ",
            Call(command, "--files-from COMMIT"),
            "   take the files of that commit\n  ",
            Call(command, f"--files-from {HERE}"),
            "   take them as they are here; they stay so\n  ",
            *settled,
        ),
    )


def _other_text(prepared: Prepared) -> HistoryLacksTree:
    return HistoryLacksTree(
        f"The file of {prepared.version} is not the one that was applied to the files here",
        file=prepared.migration.path,
        hint=(
            "Take the edit back (git restore, for instance), or decide:\n  ",
            Call("upgrade", f"--files-from {HERE}"),
            "   apply it as it is now to a copy of the files; they stay so\n  ",
            Call("baseline", str(prepared.version)),
            "   mark it as applied, without its rows",
        ),
    )
