# Shared by the scripts of this folder, which read it with `.`; POSIX sh.
# shellcheck shell=sh

set -eu

cd "$(dirname "$0")/.."

say() {
    printf '%s\n' "$*"
}

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# Everything uses the machine's cores, but a build may be told otherwise by JOBS.
jobs_count() {
    printf '%s\n' "${JOBS:-$(nproc)}"
}

# Where the output of a step is kept.
log_file() {
    mkdir -p build/logs
    printf 'build/logs/%s.log\n' "$1"
}
