"""Start the program: the launcher runs this file by its path, and an installed script calls `main`.

Python keeps no compiled form of a file that it runs by its path, so this one stays small.
"""

import os
import sys


def main() -> int:
    """Run the command line of this process and return its exit code."""
    try:
        if sys.flags.no_site:  # from the launcher: only the standard library can be imported so far
            _find_packages()
        from plugin_migrate.claude_code.entry import main as run

        return run()
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # before the command line could say what is wrong
        _repair_and_start_again(error)
        import traceback

        traceback.print_exc()
        print("✗ Error: plugin-migrate itself failed, which is a bug in it", file=sys.stderr)
        return 1


def _find_packages() -> None:
    sys.path.append(os.path.dirname(os.path.dirname(__file__)))
    from plugin_migrate.platform import system

    sys.path.append(system.packages_of(os.path.dirname(os.path.dirname(sys.executable))))


def _repair_and_start_again(error: Exception) -> None:
    """Replace this process by a new start if damage to the environment is why it failed.

    Nothing has run yet: what a command meets later, the command line itself tells.
    """
    sys.dont_write_bytecode, sys.pycache_prefix = True, None  # what is compiled may be damaged
    from plugin_migrate.cli.damage import repair

    damaged = repair(error)
    if damaged is not None and "PLUGIN_MIGRATE_REPAIRED" not in os.environ:
        print(f"plugin-migrate: {damaged} was damaged; making it again", file=sys.stderr)
        os.environ["PLUGIN_MIGRATE_REPAIRED"] = "1"  # once: never in circles
        from plugin_migrate.platform import system

        launcher = os.path.join(os.path.dirname(os.path.dirname(__file__)), "plugin-migrate")
        system.start_again(launcher, sys.argv[1:])


def _leave(code: int) -> None:
    """End the process.

    All is written and closed by now, and taking the interpreter apart takes 5 ms, or 8 after a
    status of 1000. But Python migrations may have left something to be done at exit.
    """
    if "plugin_migrate.languages.python" in sys.modules:
        raise SystemExit(code)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _leave(main())
