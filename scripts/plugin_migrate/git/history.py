"""Which commit has the files that are asked for, found by what stands in them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence

from .command import NoAnswer, Repository

# How far back is looked for a file as it once was. Whoever goes further names the commit.
_MOST_COMMITS = 500
_LOG = (
    "log",
    "--no-show-signature",
    "--no-notes",
    "--no-ext-diff",
    "--no-textconv",
    "--no-renames",
    "--full-history",
    "-m",
    "--diff-filter=AM",
    "--format=%H",
    f"--max-count={_MOST_COMMITS}",
)
# Also what a rebase left, and what is stashed.
_ANYWHERE = ("--all", "--reflog")


def commits_here(
    repository: Repository, path: str, fits: Callable[[bytes], bool]
) -> tuple[str, ...]:
    """Return the commits of the present branch that brought ``path`` like this, the newest first.

    Parameters:
        path: relative to the repository's folder.
        fits: tells from a content whether it is meant.

    Raises:
        NoAnswer: git cannot be asked.
    """
    if resolved(repository, "HEAD") is None:  # nothing is committed yet
        return ()
    return _commits(repository, ("HEAD",), path, fits)


def commits_anywhere(
    repository: Repository, path: str, fits: Callable[[bytes], bool]
) -> tuple[str, ...]:
    """Return the same of all branches, of what is stashed, and of what the reflog still has."""
    return _commits(repository, _ANYWHERE, path, fits)


def _commits(
    repository: Repository, where: Sequence[str], path: str, fits: Callable[[bytes], bool]
) -> tuple[str, ...]:
    said = repository.ask(*_LOG, *where, "--", literal(path))
    commits = tuple(dict.fromkeys(said.decode().split()))
    held = contents(repository, [f"{commit}:./{path}" for commit in commits])
    pairs = ((commit, held[f"{commit}:./{path}"]) for commit in commits)
    return tuple(commit for commit, content in pairs if content is not None and fits(content))


def literal(path: str) -> str:
    """Return how git is asked for this very path, whatever characters it has."""
    return f":(literal){path}"


def parents_of(repository: Repository, commit: str) -> tuple[str, ...]:
    """Return a commit's parents; none of the first, and of the last that a shallow clone has."""
    said = repository.ask("rev-list", "--parents", "--no-walk", commit)
    return tuple(said.decode().split()[1:])


def commit_before(
    repository: Repository, commits: Iterable[str], files: Mapping[str, str | None]
) -> str | None:
    """Return the commit before one of ``commits`` in which files stand as they are known.

    That is the parent; or, where the files were committed before that, the nearest one above.

    Parameters:
        commits: the first that has an answer counts.
        files: SHA-256 of their contents by path; ``None`` where there was none.

    Raises:
        NoAnswer: git cannot be asked.
    """
    stashed = stashes(repository)
    for commit in commits:
        for parent in parents_of(repository, stashed.get(commit, commit)):
            if not files:
                return parent
            paths = map(literal, sorted(files))
            said = repository.ask("rev-list", f"--max-count={_MOST_COMMITS}", parent, "--", *paths)
            tried = list(dict.fromkeys([parent, *said.decode().split()]))
            for one in _holding(repository, tried, files):
                return one
    return None


def _holding(
    repository: Repository, commits: Sequence[str], files: Mapping[str, str | None]
) -> list[str]:
    names = {(commit, path): f"{commit}:./{path}" for commit in commits for path in files}
    held = contents(repository, list(names.values()))
    return [
        commit
        for commit in commits
        if all(is_of(held[names[commit, path]], digest) for path, digest in files.items())
    ]


def is_of(content: bytes | None, digest: str | None) -> bool:
    """Return whether a digest is that of a content, as it is or with the line ends of Windows."""
    if content is None or digest is None:
        return content is None and digest is None
    return digest in (_digest(content), _digest(content.replace(b"\n", b"\r\n")))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def contents(repository: Repository, names: Sequence[str]) -> dict[str, bytes | None]:
    """Return the contents of files by git's names for them; ``None`` where there is none.

    Raises:
        NoAnswer: git cannot be asked.
    """
    ids = _ids(repository, names)
    texts: dict[str, bytes] = {}
    wanted = sorted({one for one in ids if one is not None})
    if wanted:
        said = repository.ask("cat-file", "--batch", given="\n".join(wanted).encode() + b"\n")
        at = 0
        for one in wanted:
            end = said.index(b"\n", at)
            size = int(said[at:end].split()[-1])
            texts[one] = said[end + 1 : end + 1 + size]
            at = end + 1 + size + 1
    return {
        name: texts[one] if one is not None else None for name, one in zip(names, ids, strict=True)
    }


def _ids(repository: Repository, names: Sequence[str]) -> list[str | None]:
    """Return the names of blobs; a path with a line end in it is nothing that can be asked for."""
    if any("\n" in name for name in names):
        raise NoAnswer("a path has a line end in it")
    if not names:
        return []
    said = repository.ask("cat-file", "--batch-check", given="\n".join(names).encode() + b"\n")
    lines = said.decode(errors="replace").splitlines()
    words = [line.rsplit(" ", 2) for line in lines]
    return [word[0] if len(word) == 3 and word[1] == "blob" else None for word in words]


def stashes(repository: Repository) -> dict[str, str]:
    """Return what is stashed, by the commit that holds its untracked files."""
    try:
        said = repository.ask("log", "-g", "--format=%H %P", "refs/stash", "--")
    except NoAnswer:  # nothing is
        return {}
    lines = (line.split() for line in said.decode().splitlines())
    return {commits[3]: commits[0] for commits in lines if len(commits) == 4}


def resolved(repository: Repository, name: str) -> str | None:
    """Return the commit that a user's text names, if it names one."""
    if name.startswith("-"):
        return None
    try:
        said = repository.ask("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    except NoAnswer:
        return None
    return said.decode().strip()


def is_shallow(repository: Repository) -> bool:
    """Return whether the clone was cut off from its older history."""
    return repository.ask("rev-parse", "--is-shallow-repository").strip() == b"true"
