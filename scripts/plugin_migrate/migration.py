"""One migration file as a value, and reading a folder of them without running any."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping

from .errors import (
    BrokenMigration,
    Call,
    DuplicateVersion,
    InvalidVersion,
    MigrateError,
    StateUnreadable,
)
from .languages import language_of, load_language
from .plain_file import read_plain, size_of
from .platform import system
from .settings import is_utf8
from .values import NamedTuple
from .version import Version, refuse_prerelease

# hashlib loads OpenSSL, 3 ms that `status` cannot spare; `random` in the standard library takes
# its SHA-512 the same way.
try:
    if sys.version_info >= (3, 12):
        from _sha2 import sha256  # type: ignore[import-not-found]
    else:
        from _sha256 import sha256  # type: ignore[import-not-found]
except ImportError:
    from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .languages.protocol import Script

# A migration is source text that a person wrote; anything larger is data in the wrong place. SQL is
# read to its first marker only, but of a program everything has to be understood before its header
# is known, and `status` has to end within two seconds also in a repository that came from anywhere.
_LARGEST_SQL = 64 * 1024 * 1024
_LARGEST_PROGRAM = 512 * 1024
_USUAL_SIZE = 16 * 1024
_BOM = b"\xef\xbb\xbf"
_TAG = "sha256:"


class Migration(NamedTuple):
    """A migration file, read but never executed.

    ``text`` is the file's content with its line endings as they are, or ``None`` when the loader
    was told that the ledger already knows this content. ``mentions_down`` is false where no down
    can be, because the word stands nowhere.
    """

    version: Version
    slug: str
    language: str
    path: str
    checksum: str
    text: str | None
    mentions_down: bool = True

    @property
    def stem(self) -> str:
        """The name of the file without its ending."""
        return f"{self.version}-{self.slug}"


class RefusedFile(NamedTuple):
    """A file that is meant as a migration and cannot be applied for its name.

    ``version`` is ``None`` where the name holds none; ``error`` is what its upgrade says.
    """

    name: str
    version: Version | None
    error: MigrateError


class Folder(NamedTuple):
    """A folder of migrations: those that are ones, in version order, and what is refused."""

    migrations: list[Migration]
    refused: tuple[RefusedFile, ...] = ()


def load(folder: str, known: Mapping[Version, str]) -> list[Migration]:
    """Return the migrations in ``folder``, in version order; see :func:`read_folder`.

    Raises:
        InvalidVersion, DuplicateVersion, BrokenMigration: a file is refused for its name.
        BrokenMigration, StateUnreadable: as for :func:`read_folder`.
    """
    migrations, refused = read_folder(folder, known)
    for one in refused:
        raise one.error
    return migrations


def read_folder(folder: str, known: Mapping[Version, str]) -> Folder:
    """Return what ``folder`` holds.

    Of two files with one version, the one that is applied is the migration, if either is.

    Parameters:
        folder: absolute path; a folder that does not exist holds no migrations.
        known: checksums of applied migrations by version. The text of a file that still has its
            applied checksum is dropped, so that memory does not grow with the history.

    Raises:
        BrokenMigration: a file is not UTF-8, not a plain file, or too large.
        StateUnreadable: the folder or a file cannot be read.
    """
    try:
        with os.scandir(folder) as listing:
            entries = list(listing)
    except FileNotFoundError:
        return Folder([])
    except OSError as error:
        raise StateUnreadable(
            f"The migrations folder cannot be read: {system.reason_of(error)}",
            file=folder,
            hint="Make it a folder that you may read, or name another with --migrations.",
        ) from None
    found: dict[Version, Migration] = {}
    same: dict[Version, list[Migration]] = {}
    refused: list[RefusedFile] = []
    for entry in entries:
        name = entry.name
        language = language_of(name)
        if language is None or not name[0].isdigit():
            continue
        path = entry.path
        try:
            version, slug = parse_name(name, path)
        except MigrateError as error:
            refused.append(RefusedFile(_as_text(name), None, error))
            continue
        content = _read_plain(path) if _is_plain(entry) else read_source(path)
        checksum = checksum_of(content)
        applied = known.get(version)
        if applied == checksum:
            checksum, text = applied, None  # one text in memory rather than two
        else:
            text = decode_source(content, path)
        mentions_down = b"down" in content or b"DOWN" in content or b"Down" in content
        migration = Migration(version, slug, language, path, checksum, text, mentions_down)
        earlier = found.setdefault(version, migration)
        if earlier is not migration:
            same.setdefault(version, [earlier]).append(migration)
    for version, several in same.items():
        applied_one, others = _told_apart(several, known.get(version))
        refused += others
        if applied_one is not None:
            found[version] = applied_one
        else:
            del found[version]
    return Folder([found[version] for version in sorted(found)], tuple(sorted(refused, key=_name)))


def _told_apart(
    several: list[Migration], applied: str | None
) -> tuple[Migration | None, list[RefusedFile]]:
    """Return which of the files with one version is applied, and the others as refused."""
    import shlex

    several = sorted(several, key=lambda one: one.path)
    names = [os.path.basename(one.path) for one in several]
    is_applied = (one for one in several if one.checksum == applied)
    applied_one = next(is_applied, None)
    pending = [name for name, one in zip(names, several, strict=True) if one is not applied_one]
    count = "Two" if len(names) == 2 else str(len(names))
    error = DuplicateVersion(
        f"{count} migrations have version {several[0].version}:"
        f" {', '.join(names[:-1])} and {names[-1]}",
        file=os.path.dirname(several[0].path),
        # It may be pasted into a shell, and the name comes with a repository.
        hint=(
            "Give one of them the next free version: ",
            Call("renumber", shlex.quote(pending[-1])),
        ),
    )
    others = [
        RefusedFile(name, one.version, error)
        for name, one in zip(names, several, strict=True)
        if one is not applied_one
    ]
    return applied_one, others


def _name(refused: RefusedFile) -> str:
    return refused.name


def _as_text(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def parse_name(name: str, path: str) -> tuple[Version, str]:
    """Return the version and slug in a migration's file name.

    Raises:
        InvalidVersion: the name does not start with ``X.Y.Z-``, or goes on as a pre-release;
            carries ``path`` as its place.
        BrokenMigration: nothing follows the version, or the ledger cannot keep the name.
    """
    if not name.isascii() and not is_utf8(name):
        raise BrokenMigration(
            "The file's name is not UTF-8, so the ledger cannot keep it",
            file=path,
            hint="Rename the file.",
        )
    text, _, slug = name.rpartition(".")[0].partition("-")
    try:
        version = Version.parse(text)
        refuse_prerelease(text, slug)
    except InvalidVersion as error:
        error.file = path
        error.exit_code = 1
        raise
    if not slug:
        raise BrokenMigration(
            "A migration's file name needs a name after its version",
            file=path,
            hint="Call it <X.Y.Z>-<name>.<sql|py|ts|js>, for example 1.2.0-add-oauth.py",
        )
    return version, slug


def read_source(path: str) -> bytes:
    """Return the bytes of a migration file.

    Raises:
        BrokenMigration: not a plain file (opening a pipe would wait forever) or too large.
        StateUnreadable: it cannot be read.
    """
    largest = largest_of(path)
    try:
        return read_plain(path, largest)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise BrokenMigration("A migration must be a plain file", file=path) from None
        if error.errno == errno.EFBIG:
            raise BrokenMigration(
                f"A migration in this language may have at most {size_of(largest)}:"
                f" {system.reason_of(error)}",
                file=path,
                hint="Put data that it needs into a file beside it, or into SQL.",
            ) from None
        raise StateUnreadable(
            f"The migration cannot be read: {system.reason_of(error)}",
            file=path,
            hint="Make the file readable, or remove it from the folder.",
        ) from None


def largest_of(path: str) -> int:
    """Return how many bytes a migration's file may have."""
    return _LARGEST_SQL if language_of(path) == "sql" else _LARGEST_PROGRAM


def _is_plain(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:  # reading it tells what is wrong
        return False


def _read_plain(path: str) -> bytes:
    """Do the same for what its folder says is a plain file, with a quarter less of system calls."""
    try:
        descriptor = system.open_to_read(path)
        try:
            content = system.read_at(descriptor, _USUAL_SIZE, 0)
        finally:
            os.close(descriptor)
    except OSError:
        content = b""
    return content if 0 < len(content) < _USUAL_SIZE else read_source(path)


def decode_source(content: bytes, path: str) -> str:
    """Return a migration's text without its byte order mark.

    Raises:
        BrokenMigration: it is not UTF-8; names the line.
    """
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise BrokenMigration(
            f"The file is not UTF-8 (byte {error.start})",
            file=path,
            line=content.count(b"\n", 0, error.start) + 1,
            hint="Save it with UTF-8 encoding.",
        ) from None


def with_text(migration: Migration) -> Migration:
    """Return a migration with its text, read again where :func:`load` dropped it.

    Its checksum is the present one: another than before if the file was edited meanwhile.

    Raises:
        BrokenMigration, StateUnreadable: see :func:`load`.
    """
    if migration.text is not None:
        return migration
    content = read_source(migration.path)
    text = decode_source(content, migration.path)
    return migration._replace(text=text, checksum=checksum_of(content))


def title_of(slug: str) -> str:
    """Return the description that a slug stands for: ``add-user-settings``, "Add user settings"."""
    words = slug.replace("-", " ").replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def describe(migration: Migration) -> Script:
    """Return what a migration's text says about itself; the text must still be there.

    Raises:
        BrokenMigration: it cannot be read, or its version disagrees with the file's name.
    """
    script = load_language(migration.language).parse(migration.text or "", migration.path)
    if type(script.metadata.get("reversible", False)) is not bool:
        raise BrokenMigration(
            "`reversible` in the metadata must be true or false", file=migration.path
        )
    if script.version is not None and script.version != str(migration.version):
        raise BrokenMigration(
            f"The file says version {script.version}, its name says {migration.version}",
            file=migration.path,
            hint="The file's name counts: correct or remove the version inside.",
        )
    return script


def metadata_text(script: Script) -> str:
    """Return a script's metadata as the JSON text that the ledger keeps."""
    if not script.metadata:
        return "{}"
    import json

    return json.dumps(script.metadata, default=str, ensure_ascii=False)


def checksum_of(content: bytes) -> str:
    """Return ``sha256:`` and the digest of a file's text.

    A byte order mark is dropped and CRLF becomes LF first (design, "Migration files").
    """
    text = content.removeprefix(_BOM).replace(b"\r\n", b"\n")  # unchanged: no copies
    digest: str = sha256(text).hexdigest()
    return _TAG + digest


def is_verifiable(checksum: str) -> bool:
    """Return whether this tool can recompute ``checksum``: it carries an algorithm tag we know.

    A row that another engine wrote has none; it is applied, and unverifiable rather than modified.
    """
    return checksum.startswith(_TAG)


def same_text(first: str, second: str) -> bool:
    """Return whether two sources differ at most in BOM, CRLF and the final newline."""
    return _essence(first) == _essence(second)


def _essence(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").rstrip("\n")


class Misnamed(NamedTuple):
    """A file that is passed over, and the reason in half a sentence."""

    name: str
    reason: str


def misnamed_in(folder: str) -> tuple[Misnamed, ...]:
    """Return what somebody may have meant as a migration; opens nothing.

    Names with ``_`` or ``.`` in front are helpers and hidden files (design, "Migration files"). A
    folder that cannot be read holds none: whoever needs it says so.
    """
    try:
        names = os.listdir(folder)
    except OSError:
        return ()
    found = []
    for name in names:
        language = language_of(name)
        # Nearly all are migrations, or are no matter.
        if (language is None and language_of(name.lower()) is None) or name[0] in "_.":
            continue
        if language is None or not name[0].isdigit():
            reason = _reason(name)
            if reason is not None:
                found.append(Misnamed(name, reason))
    return tuple(sorted(found))


def _reason(name: str) -> str | None:
    stem, _, ending = name.rpartition(".")
    if name[0].isdigit():
        return f"its ending must be lower case: {stem}.{ending.lower()}"
    if name.lower().endswith(".d.ts"):
        return None  # declarations for an editor
    if name[0] in "vV" and stem[1:2].isdigit():
        return f"its name must begin with the version itself: {stem[1:]}.{ending.lower()}"
    return f"its name has no version: <X.Y.Z>-{name}, or _{name} for a helper"
