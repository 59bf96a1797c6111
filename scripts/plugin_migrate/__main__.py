"""Start the program: the launcher runs this file by its path, `python -m plugin_migrate` by name.

It is compiled anew on every run, so it stays small.
"""

import gc
import sys

# Starting leaves no garbage to speak of, and looking for some takes 2 ms. What runs migrations
# turns the collector on again (`stdout.py`).
gc.disable()


def _start() -> int:
    if sys.flags.no_site:  # from the launcher: only the standard library can be imported so far
        scripts = __file__.rsplit("/", 2)[0]
        environment = sys.executable.rsplit("/", 2)[0]
        version = "{}.{}".format(*sys.version_info)
        sys.path += [scripts, f"{environment}/lib/python{version}/site-packages"]
    try:
        from plugin_migrate.startup import defer

        defer("inspect")
        from plugin_migrate.cli import main

        return main()
    except KeyboardInterrupt:  # before the command line could take care of it
        return 130
    except Exception:
        import traceback

        traceback.print_exc()
        print("✗ Error: plugin-migrate itself failed, which is a bug in it", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(_start())
