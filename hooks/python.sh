# Sourced by the hooks: starts a Python module of ours, with any Python 3.11 or later that is there.
# shellcheck shell=sh
#
# Nothing is installed for it, and nothing is said: a hook must never get in a session's way.
# $hooks is the folder of this file.
# shellcheck disable=SC2154

# shellcheck source=scripts/environment.sh
. "$hooks/../scripts/environment.sh"

# run_hook MODULE: the same as start_hook, and exits with 0 whatever comes of it.
run_hook() {
    start_hook "$1"
    exit 0
}

# start_hook MODULE: runs MODULE.main() with this shell's standard input and output. False when there is
# no Python to run it.
start_hook() {
    module=$1
    pythons='python3 python3.13 python3.12 python3.11 python3.14'
    locate_environment "$hooks/../scripts" requirements.txt && pythons=
    bytecode=${cache:+pycache_prefix=$cache/pycache}
    if [ -z "$pythons" ]; then
        start "$environment/bin/python" && return
    fi
    for python in $pythons; do
        command -v "$python" >/dev/null && start "$python" && return
    done
    return 1
}

# False when it is no Python, or too old a one; it has read nothing then.
start() {
    if [ -n "$bytecode" ]; then
        "$1" -I -S -X utf8 -X "$bytecode" "$hooks/hook.py" "$module" 2>/dev/null
    else
        "$1" -I -S -B -X utf8 "$hooks/hook.py" "$module" 2>/dev/null
    fi
}
