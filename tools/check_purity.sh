#!/bin/sh
# Shows that the pure layers are pure: what their objects need from outside is memory, strings,
# maths, formatting into a buffer, sorting, and assertions. Anything else, a clock, a socket, a
# thread, stdio, is a failure.
#
#     tools/check_purity.sh BUILD_DIR
set -eu

build=${1:?usage: tools/check_purity.sh BUILD_DIR}
layers="base transport cluster rpc"

# Extended regular expressions, each for a whole name.
allowed='
malloc|calloc|realloc|free
mem(cpy|move|set|cmp|chr|rchr)|bcmp
str(len|nlen|cmp|ncmp|chr|rchr|str|spn|cspn|pbrk)
v?snprintf
qsort|bsearch
inet_(pton|ntop)
erfc?|exp|exp2|expm1|log|log2|log10|log1p|pow|sqrt|ceil|floor|round|lround|fabs|fmin|fmax|frexp|ldexp
__assert_fail|abort|__stack_chk_fail|__[a-z]+_chk
_GLOBAL_OFFSET_TABLE_
'

libraries=
for layer in $layers; do
    library=$build/src/$layer/libcv_$layer.a
    [ -f "$library" ] || { echo "check_purity: $library is not built" >&2; exit 1; }
    libraries="$libraries $library"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2086  # a list of paths
nm --defined-only --extern-only --format=posix $libraries | awk 'NF > 1 {print $1}' |
    sort -u >"$work/defined"
# shellcheck disable=SC2086
nm --undefined-only --format=posix --print-file-name $libraries |
    awk '{sub(/:$/, "", $1); print $2, $1}' | sort -u >"$work/needed"
[ -s "$work/defined" ] || { echo "check_purity: the libraries define nothing" >&2; exit 1; }

printf '%s' "$allowed" | sed '/^$/d' | paste -sd '|' >"$work/allowed"
cut -d ' ' -f 1 "$work/needed" | sort -u | comm -23 - "$work/defined" >"$work/outside"
grep -Evx "$(cat "$work/allowed")" "$work/outside" >"$work/forbidden" || true

if [ -s "$work/forbidden" ]; then
    echo "check_purity: the pure layers need what they must not:"
    while read -r symbol; do
        awk -v symbol="$symbol" '$1 == symbol {print "  " $1 " in " $2}' "$work/needed"
    done <"$work/forbidden"
    exit 1
fi
echo "check_purity: from outside only: $(paste -sd ' ' <"$work/outside")"
