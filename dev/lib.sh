# Shared by the scripts in this folder. Source it; it changes nothing by itself.

# The versions of Keycloak that are tried, each with the SHA-256 of its distribution at Maven Central.
declare -A KEYCLOAK_SHA256=(
    [26.7.5]=30ef87fb7101c43d29688d1ae80c0588ff4a151b3330e9f664bf9692d398658a
    [26.5.6]=490189d9dff05272432d51f71a069462eeca97f2920a694d539a1e6c26a5a347
    [26.4.7]=dd9834c023460be856f731423d86228c23b5d002194a2064642bec0cc6573eaa
)
# What `make up` starts and every test runs against, unless told otherwise.
KEYCLOAK_VERSION=${HALLPASS_TEST_KEYCLOAK_VERSION:-26.7.5}
# What `make soak` tries beside it, newest first.
OLDER_KEYCLOAKS=(26.5.6 26.4.7)
CACHE=${HALLPASS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hallpass}

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# need COMMAND PACKAGE…: installs Debian's packages when COMMAND is missing, or says exactly what to do.
need() {
    local command=$1
    shift
    command -v "$command" >/dev/null && return
    install_packages "$@"
    command -v "$command" >/dev/null || die "$command is still missing after installing: $*"
}

install_packages() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        die "missing: please run 'sudo apt-get install $*' and try again"
    fi
    say "installing $* …"
    local log
    log=$(mktemp)
    if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@"; } \
        >"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "could not install: $*"
    fi
    rm -f "$log"
}

# The home of a Java that is new enough for Keycloak.
java_home() {
    local home
    for home in ${JAVA_HOME:-} $(java_on_path) /usr/lib/jvm/*; do
        [ -x "$home/bin/java" ] && [ "$(java_major "$home")" -ge 17 ] && { echo "$home"; return; }
    done
    install_packages openjdk-17-jre-headless
    echo /usr/lib/jvm/java-17-openjdk-*
}

java_on_path() {
    local java
    java=$(command -v java) && dirname "$(dirname "$(readlink -f "$java")")"
}

java_major() {
    "$1/bin/java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p'
}

# wanted_port PORT: that one when it is free, else any.
wanted_port() {
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then free_port; else echo "$1"; fi
}

# A port that nobody uses now. Somebody may take it before we do: callers try again.
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# wait_for SECONDS LOG COMMAND…: until COMMAND succeeds; shows the end of LOG when it does not.
wait_for() {
    local deadline=$((SECONDS + $1)) log=$2
    shift 2
    until "$@" 2>/dev/null; do
        if [ $SECONDS -ge $deadline ]; then
            tail -n 30 "$log" >&2
            return 1
        fi
        sleep 0.2
    done
}

# Ends a child of ours by its id, and waits until it is gone.
stop() {
    [ -n "${1:-}" ] || return 0
    kill "$1" 2>/dev/null || return 0
    wait "$1" 2>/dev/null || true
}

# start_keycloak FOLDER PORT MANAGEMENT_PORT: in the background, with its own copy of the initialised
# data in FOLDER; its id is in $keycloak_pid and in FOLDER/pid, its log in FOLDER/keycloak.log.
start_keycloak() {
    local folder=$1 port=$2 management=$3 installed=$CACHE/keycloak-$KEYCLOAK_VERSION java_home
    java_home=$(java_home)
    if [ ! -d "$folder/bin" ]; then
        mkdir -p "$folder"
        # kc.sh finds everything relative to its own real path: share what is only read, own the rest.
        cp -r "$installed/bin" "$installed/data" "$folder/"
        ln -s "$installed/conf" "$installed/lib" "$installed/providers" "$installed/themes" "$folder/"
    fi
    JAVA_HOME=$java_home JAVA_OPTS_KC_HEAP="-Xms256m -Xmx768m" \
        setsid "$folder/bin/kc.sh" start --optimized --cache=local --hostname-strict=false \
        --http-enabled=true --http-host=127.0.0.1 --http-port="$port" \
        --http-management-port="$management" >"$folder/keycloak.log" 2>&1 </dev/null &
    keycloak_pid=$!
    echo "$keycloak_pid" >"$folder/pid"
}

keycloak_is_ready() {
    kill -0 "$keycloak_pid" && curl -fsS -o /dev/null "http://127.0.0.1:$1/health/ready"
}
