#!/bin/sh
# Compares what the shared library exports with the list in tools/symbols.txt: the ABI changes only
# on purpose.
#
#     tools/check_symbols.sh LIBRARY [--rewrite]
set -eu

library=${1:?usage: tools/check_symbols.sh LIBRARY [--rewrite]}
list=$(dirname "$0")/symbols.txt

exported() {
    # Sanitizers add symbols of their own, and a version script names its version.
    nm --dynamic --defined-only --extern-only --format=posix "$library" |
        awk '$2 != "A" {sub(/@.*/, "", $1); print $1}' | grep -v '^__' | LC_ALL=C sort -u
}

if [ "${2:-}" = --rewrite ]; then
    exported >"$list"
    echo "check_symbols: $(wc -l <"$list") symbols written to $list"
    exit 0
fi
if ! exported | diff -u "$list" -; then
    echo "check_symbols: - is missing in the library, + is not in $list"
    echo "check_symbols: if this is meant, run tools/check_symbols.sh LIBRARY --rewrite"
    exit 1
fi
echo "check_symbols: $(wc -l <"$list") symbols, as listed"
