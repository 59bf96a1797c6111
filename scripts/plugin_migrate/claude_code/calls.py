"""Which calls of ``plugin-migrate`` a command for the shell makes.

Claude may write them in any way a shell understands: after ``cd x &&``, with ``env``, quoted, over
several lines. A command that only mentions the name (``git commit -m "plugin-migrate upgrade"``,
``cat plugin-migrate/README.md``) makes none. Where neither is certain, that is the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .shell_text import ShellCommand, Unreadable, Word, commands_in

NAME = "plugin-migrate"
_PACKAGE = "plugin_migrate"

# The name as a program's: `/x/plugin-migrate`, not `plugin-migrate/README.md`. On Windows
# it is `C:\x\plugin-migrate.cmd` too, or `.exe`.
_NAMED = re.compile(r"(?<![\w.-])plugin-migrate(\.(cmd|exe))?(?![\w/\\-])(?!\.\w)")
_PACKAGE_RUN = re.compile(
    r"plugin_migrate([/\\]__main__|[/\\]cli[/\\]|\.cli\b|\.__main__)"
    r"|(-m|import|from)\s+plugin_migrate\b"
)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?[smhd]?")

_RESERVED = frozenset("if then elif else fi do done while until { } ! time coproc".split())
# They start the program that is named after their options.
_PREFIXES = frozenset(
    "env command exec nohup nice ionice sudo doas setsid stdbuf timeout builtin caffeinate".split()
)
_PYTHONS = re.compile(r"(python|pypy)[\d.]*|py")
# They run text: an argument, a file, or what they read.
_SHELLS = frozenset("sh bash dash zsh ksh ash fish".split())
_INTERPRETERS = _SHELLS | frozenset(
    "eval source . xargs parallel ssh su watch script expect node perl ruby bun deno tsx awk gawk"
    " mawk trap alias at batch crontab".split()
)
_DECLARING = frozenset("export declare local readonly typeset for select".split())
_MOVING = frozenset("cd pushd popd".split())
# What is said to them is data, and they start nothing that it names.
_READERS = frozenset(
    "cat bat less more head tail wc nl tac ls ll tree stat file du df cd pushd popd pwd echo"
    " printf grep egrep fgrep rg ag ack find fd git gh hub glab diff cmp comm sort uniq cut tr"
    " tee sed jq yq column fold fmt strings xxd od hexdump md5sum sha1sum sha256sum shasum"
    " cksum base64 basename dirname realpath readlink which type whereis hash man info help"
    " test [ [[ true false : cp mv rm ln mkdir rmdir touch chmod chown tar zip unzip gzip"
    " gunzip rsync scp curl wget mktemp install npm pnpm yarn pip pip3 pipx uv brew apt"
    " apt-get dpkg cargo docker podman code vim vi nano emacs claude shellcheck shfmt ruff mypy"
    " pytest black isort prettier eslint pre-commit open case in esac set unset shift return"
    " exit break continue wait sleep date read let".split()
)
# With one of these words they do start something. Of a program of another name any word counts.
_RUNNING = {
    **dict.fromkeys(("find",), frozenset("-exec -execdir -ok -okdir".split())),
    **dict.fromkeys(("fd",), frozenset("-x -X --exec --exec-batch".split())),
    "git": frozenset("-c bisect submodule --exec -x".split()),
    **dict.fromkeys(("gh", "hub", "glab"), frozenset("alias extension".split())),
    **dict.fromkeys(("npm", "pnpm", "yarn"), frozenset("run run-script exec x dlx".split())),
    **dict.fromkeys(("pipx", "cargo"), frozenset(["run"])),
    "uv": frozenset("run tool".split()),
    **dict.fromkeys(("docker", "podman"), frozenset("run exec".split())),
    **dict.fromkeys(("vim", "vi", "emacs", "nano"), frozenset("-c --cmd --eval -S".split())),
}
_RUNNING_OPTIONS = ("--exec", "--to-command", "--checkpoint-action", "--rsh", "--use-compress", "+")
_SED_RUNS = re.compile(r"(^|[\d$/;{}])\s*e(\s|$)|/[gpiI\d]*e[gpiI\d]*$")


@dataclass(frozen=True, slots=True)
class ShellCall:
    """One call of ours: ``arguments`` as the program gets them, if they are known for certain."""

    arguments: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known about a command for the shell.

    ``calls`` are the calls of ours; ``is_certain`` is false when there may be more of them.
    ``folder`` is where they run, relative to where the shell is; ``None`` when that is unknown.
    """

    calls: tuple[ShellCall, ...] = ()
    is_certain: bool = True
    folder: str | None = ""


def read(text: str) -> Reading:
    """Return the calls of ours that a command for the shell makes."""
    try:
        commands = commands_in(text)
    except Unreadable:
        return Reading(is_certain=not _mentions(text))
    findings = [_finding(command) for command in commands]
    calls = tuple(call for finding in findings for call in finding.calls)
    is_certain = all(finding.is_certain for finding in findings)
    # Text that one command produces and another one runs: `echo plugin-migrate upgrade | sh`.
    runs_text = any(finding.runs_text for finding in findings)
    is_mentioned = any(finding.is_mentioned for finding in findings)
    return Reading(calls, is_certain and not (runs_text and is_mentioned), _folder_of(commands))


def _folder_of(commands: Sequence[ShellCommand]) -> str | None:
    """Return the folder that a first ``cd`` leads to; any other one makes it unknown."""
    changes = [one for one in commands if one.words and one.words[0].text in _MOVING]
    if not changes:
        return ""
    words = commands[0].words
    if changes != [commands[0]] or len(words) != 2 or words[0].text != "cd":
        return None
    is_folder = words[1].is_literal and not words[1].text.startswith("-")
    return words[1].text if is_folder else None


@dataclass(frozen=True, slots=True)
class _Finding:
    """What one simple command does: ``is_mentioned`` when another one could run the name in it."""

    calls: tuple[ShellCall, ...] = ()
    is_certain: bool = True
    runs_text: bool = False
    is_mentioned: bool = False


def _finding(command: ShellCommand) -> _Finding:
    words = list(command.words)
    in_data = any(_mentions(word.text) for word in command.data)
    assigned, words = _split_assignments(words)
    in_assigned = any(_mentions(word.text) for word in assigned)
    if not words:
        return _Finding(is_mentioned=in_assigned or in_data)
    finding = _of_program(words, bool(assigned), command.flows_on)
    # `PAGER=plugin-migrate git log`: what it is told in a variable it may start.
    return _Finding(
        finding.calls,
        finding.is_certain and not in_assigned,
        finding.runs_text,
        finding.is_mentioned or in_data,
    )


def _split_assignments(words: list[Word]) -> tuple[list[Word], list[Word]]:
    while words and words[0].text in _RESERVED:
        words = words[1:]
    count = 0
    while count < len(words) and _ASSIGNMENT.match(words[count].text):
        count += 1
    return words[:count], words[count:]


def _of_program(words: Sequence[Word], has_assignments: bool, flows_on: bool) -> _Finding:
    program, arguments = words[0], words[1:]
    mentioned = any(_mentions(word.text) for word in arguments)
    if not program.is_literal and program.text not in ("{", "}", "[", "[["):
        # `$P upgrade`: what it starts depends on what stands elsewhere.
        is_certain = not (_mentions(program.text) or mentioned)
        return _Finding(is_certain=is_certain, runs_text=True)
    name = _name_of(program)
    if name == NAME:
        return _Finding(calls=(_call(arguments, has_assignments),))
    if name in _RESERVED:
        return _of_rest(arguments, has_assignments, flows_on)
    if name in _PREFIXES:
        return _of_prefixed(name, arguments, has_assignments, flows_on)
    if _PYTHONS.fullmatch(name):
        return _of_python(arguments, has_assignments)
    if name in _INTERPRETERS:
        return _of_interpreter(name, arguments)
    if name in _DECLARING:
        return _Finding(is_mentioned=mentioned)
    if name in _READERS and not _may_run(name, arguments):
        return _Finding(is_mentioned=mentioned and flows_on)
    return _Finding(is_certain=not mentioned)


def _name_of(program: Word) -> str:
    """Return a program's name, without what Windows lets stand before and after it."""
    name = re.split(r"[/\\]", program.text)[-1]
    return re.sub(r"\.(cmd|exe)$", "", name)


def _may_run(name: str, arguments: Sequence[Word]) -> bool:
    running = _RUNNING.get(name, frozenset())
    return any(
        word.text in running
        or word.text.startswith(_RUNNING_OPTIONS)
        or (name == "sed" and _SED_RUNS.search(word.text))
        for word in arguments
    )


def _of_rest(words: Sequence[Word], has_assignments: bool, flows_on: bool) -> _Finding:
    assigned, rest = _split_assignments(list(words))
    if not rest:
        return _Finding(is_mentioned=any(_mentions(word.text) for word in assigned))
    return _of_program(rest, has_assignments or bool(assigned), flows_on)


def _of_prefixed(
    prefix: str, words: Sequence[Word], has_assignments: bool, flows_on: bool
) -> _Finding:
    if prefix == "command" and words and words[0].text in ("-v", "-V"):
        return _Finding()
    for number, word in enumerate(words):
        if _ASSIGNMENT.match(word.text):
            has_assignments = True
        elif not (word.text.startswith("-") or _NUMBER.fullmatch(word.text)):
            return _of_program(words[number:], has_assignments, flows_on)
    return _Finding()


def _of_python(arguments: Sequence[Word], has_assignments: bool) -> _Finding:
    for number, word in enumerate(arguments):
        before = arguments[number - 1].text if number else ""
        is_module = before == "-m" and word.text.partition(".")[0] == _PACKAGE
        path = word.text.replace("\\", "/")
        is_file = path.endswith(f"{_PACKAGE}/__main__.py") or (
            path.endswith(f"/{_PACKAGE}") and not before
        )
        if is_module or is_file:
            return _Finding(calls=(_call(arguments[number + 1 :], has_assignments),))
    mentioned = any(_mentions(word.text) for word in arguments)
    reads = not arguments or any(word.text in ("-", "-c") for word in arguments)
    return _Finding(is_certain=not mentioned, runs_text=reads)


def _of_interpreter(name: str, arguments: Sequence[Word]) -> _Finding:
    texts = list(_texts_run(name, arguments))
    if texts and all(word.is_literal for word in texts):
        inner = read(" ".join(word.text for word in texts))
        return _Finding(inner.calls, inner.is_certain, runs_text=True)
    script = next((word for word in arguments if not word.text.startswith("-")), None)
    runs_a_file = name in _SHELLS | {"source", "."} and not texts
    if runs_a_file and script and script.is_literal and _name_of(script) == NAME:
        rest = arguments[arguments.index(script) + 1 :]
        return _Finding(calls=(_call(rest, False),))
    return _Finding(is_certain=not any(_mentions(word.text) for word in arguments), runs_text=True)


def _texts_run(name: str, arguments: Sequence[Word]) -> Iterator[Word]:
    """Yield the arguments that are shell text."""
    if name == "eval":
        yield from arguments
    elif name in _SHELLS:
        for option, text in pairwise(arguments):
            if re.fullmatch(r"-[a-z]*c", option.text):
                yield text
                return


def _call(arguments: Sequence[Word], has_assignments: bool) -> ShellCall:
    # A variable may lead the program to another project or another cache.
    if has_assignments or not all(word.is_literal for word in arguments):
        return ShellCall(None)
    return ShellCall(tuple(word.text for word in arguments))


def _mentions(text: str) -> bool:
    return _NAMED.search(text) is not None or _PACKAGE_RUN.search(text) is not None
