# Sourced by plugin-migrate, test and .ci/run: where the managed Python environment is, and making it.
# shellcheck shell=sh
#
# On Windows it is Git Bash that runs this: paths may be C:\x, C:/x or /c/x, and what starts there as a
# Windows program gets the last form, alone or after a `=`, as C:/x.
#
# One folder per set of pinned requirements, in the user's cache. The way to a ready one is shell
# builtins only, because it is part of every command: a subprocess costs more than all of it.

# locate_environment SCRIPTS FILE...: sets $cache, $environment to the one for the requirements in
# SCRIPTS/FILE..., and $environment_python to its Python; true when it is ready. Starts and writes nothing:
# hooks call it too.
locate_environment() {
    scripts=$1
    shift
    name=
    for file; do
        while read -r line || [ -n "$line" ]; do
            case $line in
                '' | '#'*) ;;
                *) name=$name${name:++}${line%%==*}-${line#*==} ;;
            esac
        done <"$scripts/$file"
    done

    if [ -n "${PLUGIN_MIGRATE_CACHE-}" ]; then
        cache=$PLUGIN_MIGRATE_CACHE
    else
        case ${XDG_CACHE_HOME-} in
            /* | [A-Za-z]:[/\\]*) cache=$XDG_CACHE_HOME/plugin-migrate ;;
            *) cache=${HOME:+$HOME/.cache/plugin-migrate} ;;
        esac
    fi
    case $cache in
        '' | /* | [A-Za-z]:[/\\]*) ;;
        *) cache=$PWD/$cache ;;
    esac
    environment=$cache/$name
    environment_is_ready
}

# use_environment SCRIPTS FILE...: the same, and makes the environment if it is not there. False, after
# a sentence on stderr, if it cannot.
use_environment() {
    locate_environment "$@" && return
    shift

    if [ -z "$cache" ] || ! mkdir -p "$cache" 2>/dev/null || [ ! -w "$cache" ]; then
        use_private_cache || return
        environment=$cache/$name
        environment_is_ready && return
    fi
    find_python || return
    "$python" -I -S "$scripts/environment.py" "$environment" "$scripts" "$@" </dev/null || return
    environment_is_ready
}

# Not ready either when the system's Python was replaced by another version: bin/python links to it.
environment_is_ready() {
    environment_python=$environment/bin/python
    [ -x "$environment_python" ] || environment_python=$environment/Scripts/python.exe # on Windows
    [ -e "$environment/ready" ] && [ -x "$environment_python" ]
}

# Without a usable home: a folder beside everybody's, so one that another user made is not touched.
use_private_cache() {
    unusable=${cache:-the home directory is unknown}
    uid=$(id -u)
    cache=${TMPDIR:-/tmp}/plugin-migrate-$uid
    mkdir -m 700 "$cache" 2>/dev/null
    # shellcheck disable=SC3028 # where there is none this is no Git Bash
    case ${OSTYPE-} in
        msys | cygwin) [ -w "$cache" ] && return ;; # the temporary folder is one of this user's own
    esac
    read -r mode _ owner _ <<LISTING
$(ls -ldn "$cache" 2>/dev/null)
LISTING
    case $mode$owner in
        "drwx------$uid" | "drwx------"[.+@]"$uid") return 0 ;;
    esac
    echo "✗ Error: No folder for the Python environment ($unusable; $cache is not a private folder of yours):" \
        "set PLUGIN_MIGRATE_CACHE to one that can be written" >&2
    return 1
}

# Sets $python to an interpreter that can make the environment. Each is run to find out: what is on
# PATH may be a shim without an installed version, or Windows' advertisement for its store. `uv` can make one without `ensurepip`, and even
# fetch a Python.
find_python() {
    uv=$(command -v uv)
    problem='No Python 3.11 or later was found'
    remedy='install Python 3.11 or later, or uv'
    for python in python3 python3.13 python3.12 python3.11 python3.14 python py; do
        missing=$("$python" -I -S -c '
import sys
if sys.version_info < (3, 11):
    sys.exit(1)
for module in ["sqlite3", "venv", "ensurepip"][: 1 if sys.argv[1] else 3]:
    try:
        __import__(module)
    except ImportError:
        sys.stdout.write(module) # no line end: there are two kinds
        break
' "$uv" </dev/null 2>/dev/null) || continue
        case $missing in
            '') return 0 ;;
            sqlite3)
                problem="The Python on PATH ($python) was built without sqlite3"
                remedy='install another Python 3.11 or later, or uv'
                ;;
            *)
                problem="The Python on PATH ($python) cannot make virtual environments"
                remedy="install its venv module (Debian and Ubuntu: apt install python3-venv), or uv"
                ;;
        esac
    done
    if [ -n "$uv" ]; then
        echo "plugin-migrate: asking uv for a Python" >&2
        python=$(cd / && uv run --quiet --no-project --python '>=3.11,<3.15' python -I -S -c '
import sys
sys.stdout.write(sys.executable)' </dev/null 2>/dev/null) && return
    fi
    echo "✗ Error: $problem: $remedy, then run this again" >&2
    return 1
}
