"""Run one of the package's hooks and succeed, whatever happens.

For example: `hook.py claude_code.session_start`.

It may be started by any Python that is there, without a package installed, and an old one has to
get as far as saying no.
"""

import os
import sys


def _start() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - it is whatever Python is there
        return 1
    try:
        plugin, environment = (
            os.path.dirname(os.path.dirname(file)) for file in (__file__, sys.executable)
        )
        sys.path.append(os.path.join(plugin, "scripts"))
        if os.path.exists(environment + "/ready"):  # the managed one; what others hold is unknown
            packages = "/lib/python{}.{}/site-packages".format(*sys.version_info)
            sys.path.append(environment + ("/Lib/site-packages" if os.sep == "\\" else packages))

        from importlib import import_module

        text = import_module(f"plugin_migrate.{sys.argv[1]}").main()
        if text:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
    except BaseException:  # noqa: S110 - a hook that fails would disturb every session
        pass
    return 0


if __name__ == "__main__":
    sys.exit(_start())
