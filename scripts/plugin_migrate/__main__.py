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
        from plugin_migrate.cli import main as run

        return run()
    except KeyboardInterrupt:
        return 130
    except Exception:  # before the command line could say what is wrong
        import traceback

        traceback.print_exc()
        print("✗ Error: plugin-migrate itself failed, which is a bug in it", file=sys.stderr)
        return 1


def _find_packages() -> None:
    scripts = __file__.rsplit("/", 2)[0]
    environment = sys.executable.rsplit("/", 2)[0]
    version = "{}.{}".format(*sys.version_info)
    sys.path += [scripts, f"{environment}/lib/python{version}/site-packages"]


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
