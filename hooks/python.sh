# Sourced by the hooks: starts a Python module of ours, with any Python 3.11 or later that is there.
# shellcheck shell=sh
#
# Nothing is installed for it, and nothing is said: a hook must never get in a session's way.
# $hooks is the folder of this file.
# shellcheck disable=SC2154,SC3044 # shopt: only bash has it, and needs it

# shellcheck source=scripts/environment.sh
. "$hooks/../scripts/environment.sh"

# run_hook MODULE: becomes Python running MODULE.main() with this shell's standard input and output, and
# exits with 0 where there is none. So that whoever ends the hook ends Python with it, and nothing goes on
# that nobody waits for.
run_hook() {
    trap 'exit 0' EXIT # where an `exec` fails, a shell exits
    start_hook "$1"
    exit 0
}

# start_hook MODULE: the same, and false where there is no Python 3.11 or later.
start_hook() {
    module=$1
    shopt -s execfail 2>/dev/null # bash then goes on where an `exec` fails
    if locate_environment "$hooks/../scripts" requirements.txt; then
        become "$environment_python"
    fi
    for python in python3 python3.13 python3.12 python3.11 python3.14 python py; do
        command -v "$python" >/dev/null || continue
        # As cheap as a start can be. It also answers for a shim that has no version installed,
        # and for what Windows has in its place, which only advertises.
        "$python" -I -S -c 'import sys; sys.exit(sys.version_info < (3, 11))' </dev/null >/dev/null 2>&1 ||
            continue
        become "$python"
    done
    return 1
}

become() {
    if [ -n "$cache" ]; then
        exec "$1" -I -S -X utf8 -X "pycache_prefix=$cache/pycache" "$hooks/hook.py" "$module" 2>/dev/null
    fi
    exec "$1" -I -S -B -X utf8 "$hooks/hook.py" "$module" 2>/dev/null
}
