# Sourced by up and test: makes `.venv` in the project's root and keeps it current.
#
#   make_venv [EXTRA]    afterwards "$venv/bin/python" runs, and the package stands there
#                        with its dependencies, those of EXTRA included
#
# POSIX sh and Python >= 3.11 are all it needs. What it says goes to standard error.
#
# A .venv is believed only as far as its stamps go: `stamp` for the package, `stamp-EXTRA`
# for an extra. They are taken away before pip starts and come back when it has ended
# well; the file `unfinished` stands in between. So what an interrupted run leaves behind
# never passes for whole, and the next run starts anew.

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
venv=$root/.venv

# Both would lead Python away from the packages in .venv.
unset PYTHONHOME PYTHONPATH

say() { printf 'genrelay: %s\n' "$*" >&2; }

stop() {
    say "$@"
    exit 1
}

# make_venv [EXTRA]
make_venv() {
    extra=${1-}
    if is_current; then return; fi
    find_python
    lock
    # Another run may have made it while this one waited.
    if ! is_current; then install; fi
    exec 9<&-
}

is_current() {
    [ -x "$venv/bin/python" ] &&
        [ "$(cat "$venv/stamp${extra:+-$extra}" 2>/dev/null)" = "$(current_stamp)" ]
}

# What .venv was made from: requirements, and the place, which the scripts in it name.
current_stamp() {
    { cat "$root/setup.cfg" "$root/pyproject.toml" && echo "$root"; } | cksum
}

# Prints "ok 3.11", "lacks 3.11 MODULE" or "old 3.9.2"; any Python can read it.
ask_python='
import sys
if sys.version_info < (3, 11):
    print("old " + ".".join(str(n) for n in sys.version_info[:3]))
    sys.exit()
version = "%d.%d" % sys.version_info[:2]
for module in ("venv", "ensurepip", "ssl", "sqlite3"):
    try:
        __import__(module)
    except ImportError:
        print("lacks %s %s" % (version, module))
        sys.exit()
print("ok " + version)
'

# Puts the interpreter that makes .venv into $python, or stops with what to install.
find_python() {
    old='' lacking=''
    for candidate in ${PYTHON:+"$PYTHON"} \
        python3.13 python3.12 python3.11 python3 python; do
        # A name on PATH may be a shim that fails: only an answer counts.
        answer=$("$candidate" -c "$ask_python" </dev/null 2>/dev/null) || answer=''
        case $answer in
            ok*) python=$candidate && return ;;
            lacks*) lacking=${lacking:-${answer#lacks }} ;;
            old*) old=${old:-${answer#old }} ;;
        esac
        if [ -n "${PYTHON-}" ]; then break; fi
    done
    wanted=${PYTHON:+" (PYTHON=$PYTHON)"}
    case $lacking in
        '') ;;
        *venv | *ensurepip)
            stop "Python ${lacking% *}$wanted cannot make virtual environments. On" \
                "Debian and Ubuntu: apt-get install python${lacking% *}-venv" \
                "(it lacks its module '${lacking#* }')."
            ;;
        *)
            stop "Python ${lacking% *}$wanted lacks its module '${lacking#* }':" \
                "install a complete Python 3.11 or newer."
            ;;
    esac
    problem="no Python that runs$wanted"
    if [ -n "$old" ]; then problem="Python $old$wanted is too old"; fi
    stop "$problem:" \
        "install Python 3.11 or newer (Debian and Ubuntu: apt-get install python3" \
        "python3-venv), or name one: PYTHON=/path/to/python3 $0"
}

# One run at a time, by a lock on descriptor 9 that ends with this shell and its pip.
lock() {
    exec 9<"$root/setup.cfg"
    "$python" -c '
import fcntl, sys
try:
    try:
        fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("genrelay: waiting for another run to make .venv", file=sys.stderr)
        fcntl.flock(9, fcntl.LOCK_EX)
except OSError:
    pass  # a file system without locks: two runs at once are the caller'\''s to avoid
'
}

install() {
    stamp=$(current_stamp)
    # An extra that is there stays current as well.
    if [ -z "$extra" ] && [ -e "$venv/stamp-test" ]; then extra="test"; fi
    trap 'interrupted 130' INT
    trap 'interrupted 143' TERM HUP
    begin_venv
    say "installing packages into .venv (a minute or two, once)"
    # PIP_USER, where it is set, would install beside .venv.
    run_logged env PIP_USER=0 "$venv/bin/python" -m pip install --no-input \
        --disable-pip-version-check --editable "$root${extra:+"[$extra]"}" || explain_pip
    echo "$stamp" >"$venv/stamp"
    if [ -n "$extra" ]; then echo "$stamp" >"$venv/stamp-$extra"; fi
    rm "$venv/unfinished"
    trap - INT TERM HUP
}

# Leaves a .venv whose pip runs, marked unfinished: the one that is there, or a new one.
begin_venv() {
    rm -rf "$venv.removed"
    if [ ! -e "$venv/unfinished" ] && venv_runs; then
        rm -f "$venv"/stamp*
        : >"$venv/unfinished"
        return
    fi
    if [ -e "$venv" ] || [ -h "$venv" ]; then
        say "making .venv anew: the one that is there is not whole"
        # At one stroke, so that no half of it can be met by another run.
        mv "$venv" "$venv.removed" || stop "cannot replace $venv: see above."
        rm -rf "$venv.removed"
    fi
    mkdir "$venv" || stop "cannot write to $root: see above."
    : >"$venv/unfinished"
    run_logged "$python" -m venv "$venv" || {
        cat "$venv/install.log" >&2
        stop "$python could not make .venv: see above."
    }
}

venv_runs() {
    case $("$venv/bin/python" -c "$ask_python" </dev/null 2>/dev/null) in
        ok*) "$venv/bin/python" -m pip --version </dev/null >/dev/null 2>&1 ;;
        *) false ;;
    esac
}

# Beside this shell, which can so be stopped at once.
run_logged() {
    "$@" </dev/null >"$venv/install.log" 2>&1 &
    child=$!
    wait "$child"
}

interrupted() {
    trap '' INT TERM HUP
    kill "$child" 2>/dev/null || :
    wait "$child" 2>/dev/null || :
    say "stopped while making .venv; the next run makes it anew"
    exit "$1"
}
child=''

explain_pip() {
    log=$venv/install.log
    offline='NewConnection|name resolution|Max retries|Connection(Reset)?Error'
    offline="$offline|ConnectTimeout|ReadTimeout|ProxyError|SSLError|versions: none"
    if grep -q 'No space left' "$log"; then
        stop "the disk is full: the packages need about 1 GB ($log)."
    elif grep -Eq "$offline" "$log"; then
        stop "packages could not be downloaded: a network is needed the first time." \
            "Behind a proxy set https_proxy, with a mirror PIP_INDEX_URL, with" \
            "packages in a folder PIP_FIND_LINKS and PIP_NO_INDEX=1 ($log)."
    fi
    tail -n 15 "$log" >&2
    stop "packages could not be installed: pip's last words stand above, all in $log"
}
