#!/bin/sh
# Builds and runs the tests of the SDK, natively. CC and CXX name the compilers; they are zig's unless told otherwise.
set -eu
cd "$(dirname "$0")"
: "${CC:=zig cc}" "${CXX:=zig c++}"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

warnings="-Wall -Wextra -Wpedantic -Werror"
for source in ../dacapo.c ../dacapo_test.c sdk_test.c ../../../examples/c/tour.c ../../../examples/c/tour_test.c; do
    $CC -std=c11 -g $warnings -I.. -c -o "$out/$(basename "$source").o" "$source"
done
$CXX -std=c++23 -g -fno-exceptions $warnings -I.. -c -o "$out/cpp_test.cpp.o" cpp_test.cpp

$CC -o "$out/sdk_test" "$out/sdk_test.c.o" "$out/dacapo.c.o" "$out/dacapo_test.c.o" -lm
$CXX -o "$out/cpp_test" "$out/cpp_test.cpp.o" "$out/dacapo.c.o" "$out/dacapo_test.c.o"
$CC -o "$out/tour_test" "$out/tour_test.c.o" "$out/tour.c.o" "$out/dacapo.c.o" "$out/dacapo_test.c.o" -lm
for test in sdk_test cpp_test tour_test; do
    "$out/$test"
    echo "$test: ok"
done
