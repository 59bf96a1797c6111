"""Start the program: the launcher runs this file by its path, `python -m plugin_migrate` by name.

It is compiled anew on every run, so it stays small.
"""

import gc
import os
import sys

# Starting and reading leave no garbage to speak of, and looking for some takes 2 ms, and as much
# for each 1000 migrations. What runs migrations turns the collector on again (`engine.py`).
gc.disable()


def _start() -> int:
    if sys.flags.no_site:  # from the launcher: only the standard library can be imported so far
        scripts = __file__.rsplit("/", 2)[0]
        environment = sys.executable.rsplit("/", 2)[0]
        version = "{}.{}".format(*sys.version_info)
        sys.path += [scripts, f"{environment}/lib/python{version}/site-packages"]
    try:
        from plugin_migrate import startup

        startup.defer("inspect", "copy", "wcwidth")
        startup.defer_call("html", "escape")
        startup.import_untranslated("argparse")
        startup.import_with_c_datetime("sqlite3")
        from plugin_migrate.cli import main

        return main()
    except KeyboardInterrupt:  # before the command line could take care of it
        return 130
    except Exception:
        import traceback

        traceback.print_exc()
        print("✗ Error: plugin-migrate itself failed, which is a bug in it", file=sys.stderr)
        return 1


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
    _leave(_start())
