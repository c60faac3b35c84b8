#!/bin/sh
# Compiles each public header alone, without a warning: as C99 and C11, and as C++17 when a C++
# compiler is given.
#
#     tools/check_headers.sh CC [CXX]
set -eu

cc=${1:?usage: tools/check_headers.sh CC [CXX]}
cxx=${2:-}
include=$(dirname "$0")/../include
count=0

# compile COMPILER LANGUAGE STANDARD HEADER
compile() {
    printf "#include <%s>\nextern int a_unit_declares_something;\n" "$4" |
        "$1" -x "$2" -std="$3" -Wall -Wextra -Wpedantic -Wundef -Werror -I"$include" -fsyntax-only - ||
        { echo "check_headers: <$4> is not clean as $3"; exit 1; }
}

for path in "$include"/covey/*.h; do
    header=covey/$(basename "$path")
    compile "$cc" c c99 "$header"
    compile "$cc" c c11 "$header"
    [ -z "$cxx" ] || compile "$cxx" c++ c++17 "$header"
    count=$((count + 1))
done
[ "$count" -gt 0 ] || { echo "check_headers: there are no headers"; exit 1; }
echo "check_headers: $count headers are clean as C99, C11${cxx:+ and C++17}"
