"""The commands that only explain: a migration, the machine, our command line."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser

    from ..invocation import Invocation


def run_show(invocation: Invocation) -> int:
    """Show one migration."""
    from ...operations.show import show
    from ...render.show import show_json, show_text
    from ...version import Version

    version = Version.parse(invocation.options.target)
    workspace = invocation.workspace()
    shown = show(workspace, version)
    invocation.output.result(
        lambda style: show_text(shown, workspace.shown, workspace.named, style),
        lambda: show_json(shown, workspace.shown),
    )
    return 0


def run_doctor(invocation: Invocation) -> int:
    """Look whether all is well, and say what to do."""
    from ...errors import MigrateError
    from ...operations.doctor import examine
    from ...platform import system
    from ...render.doctor import doctor_json, doctor_text

    checks = examine(invocation.workspace, invocation.environment)
    ok = all(check.problem is None for check in checks)
    output = invocation.output
    output.result(
        lambda style: doctor_text(checks, system.slashed, style),
        lambda: doctor_json(checks, system.slashed, output.option),
        ok,
    )
    return 0 if ok else MigrateError.exit_code


def run_help(invocation: Invocation) -> int:
    """Show the help, of everything or of one command."""
    from ..arguments import make_parser
    from ..meant import unknown_command

    parser = make_parser()
    name = invocation.options.topic
    if name is not None and name not in parser.commands:
        raise unknown_command(name, parser.commands)
    chosen = parser if name is None else parser.commands[name]
    text = chosen.format_help().rstrip("\n")
    invocation.output.result(lambda style: text, lambda: {"text": text})
    return 0


def run_completion(invocation: Invocation) -> int:
    """Print what makes a shell complete our command line."""
    from argcomplete.shell_integration import shellcode

    shell = invocation.options.shell
    script = shellcode(["plugin-migrate"], shell=shell)
    invocation.output.result(lambda style: script, lambda: {"shell": shell, "script": script})
    return 0


def complete(parser: ArgumentParser) -> None:
    """Answer a shell that completes a command line of ours, and end the process."""
    import argcomplete

    argcomplete.autocomplete(parser, print_suppressed=True)
