# Shared by the scripts that run a small cluster on loopback with a throw-away CA; read with `.` after
# lib.sh. A part is a process with a name, a certificate and an output of its own.
# shellcheck shell=sh

covey=build/release/tools/covey/covey
programs=build/release/examples/connection_swap
parts= # their names
pids=

# Builds the programs; the output is shown when that fails.
build_parts() {
    log=$(log_file "$1-build")
    say "$1: building; $log grows meanwhile"
    { cmake --preset release && cmake --build --preset release --parallel "$(jobs_count)" \
        --target covey connection_swap; } >"$log" 2>&1 || {
        cat "$log"
        die "the build failed"
    }
}

# The folder of the CA and of the outputs; gone with everything else at the end.
begin_parts() {
    work=$(mktemp -d)
    trap clean_up EXIT
    trap 'exit 1' INT TERM HUP
    "$covey" ca init --dir "$work/pki" --cluster demo
}

# Ends what still runs, by its process id, and removes the CA and the outputs.
clean_up() {
    trap - EXIT INT TERM HUP
    for pid in $pids; do
        kill "$pid" 2>/dev/null || true
        kill -CONT "$pid" 2>/dev/null || true
    done
    for pid in $pids; do
        end_within 7 "$pid" || kill -9 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}

now() {
    date +%s
}

# Still running, and not merely waiting to be collected.
runs() {
    state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 1
    [ -n "$state" ] && [ "$state" != Z ]
}

end_within() {
    end=$(($(now) + $1))
    while runs "$2"; do
        [ "$(now)" -lt "$end" ] || return 1
        sleep 0.05
    done
}

# Whether a part has printed this.
output_has() {
    grep -q "$2" "$work/$1.out"
}

# wait_for SECONDS WHAT PART PATTERN: until the part has printed it.
wait_for() {
    end=$(($(now) + $1))
    until output_has "$3" "$4"; do
        [ "$(now)" -lt "$end" ] || fail "waited $1 s for this: $2"
        sleep 0.02
    done
}

show_parts() {
    for part in $parts; do
        say "--- what $part saw"
        sed 's/^/    /' "$work/$part.out"
    done
}

fail() {
    show_parts
    die "$*"
}

# issue PART member|client
issue() {
    "$covey" ca issue --dir "$work/pki" --name "$1" --out "$work/pki/$1" --role "$2"
}

# start PART PROGRAM ARGUMENT...: in the background, its output in a file; the id in $started and in
# a file, too. A part that is started again goes on with its output.
start() {
    part=$1
    program=$2
    shift 2
    case " $parts " in
    *" $part "*) ;;
    *) parts="$parts $part" ;;
    esac
    "$programs/$program" --tls "$work/pki/$part" "$@" >>"$work/$part.out" 2>&1 &
    started=$!
    pids="$pids $started"
    echo "$started" >"$work/$part.pid"
}

pid_of() {
    cat "$work/$1.pid"
}

listening_address() {
    sed -n 's/.*: listening on \([^,]*\),.*/\1/p' "$work/$1.out" | tail -n 1
}

# A director and workers of these names; the director's address in $director. $worker_options go to
# each worker, $first_options to worker-1, too.
start_cluster() {
    issue director member
    start director director --listen 127.0.0.1:0 --profile local
    wait_for 10 "the director's address" director 'listening on'
    director=$(listening_address director)
    for worker in "$@"; do
        issue "$worker" member
        start_worker "$worker"
    done
    for worker in "$@"; do
        wait_for 15 "the director to see $worker" director "node_joined $worker "
    done
}

start_worker() {
    own_options=
    [ "$1" != worker-1 ] || own_options=${first_options:-}
    # shellcheck disable=SC2086
    start "$1" worker --listen 127.0.0.1:0 --join "$director" --profile local ${worker_options:-} $own_options
}

# Who serves the client now.
serving_worker() {
    sed -n 's/.*client: \(.*\) serves from token [0-9]*$/\1/p' "$work/client.out" | tail -n 1
}
