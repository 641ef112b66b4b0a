# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The parts of ./dev check. CLANG is the version that setup_check found.

sanitizers() {
    local preset runtime
    for preset in asan tsan; do
        say "unit tests: $preset"
        build "$preset" "-DCMAKE_C_COMPILER=clang-$CLANG"
        runtime=$("clang-$CLANG" -print-file-name="libclang_rt.$preset-$(uname -m).so")
        LD_LIBRARY_PATH=$(dirname "$runtime") unit_tests "$preset"
        say "JVM tests: $preset"
        # HotSpot uses SIGSEGV for itself, and its memory is not ours to watch. Where a library does
        # not load it reads the loader's text after that is freed.
        ASAN_OPTIONS=handle_segv=0:detect_leaks=0 \
            TSAN_OPTIONS=handle_segv=0:report_signal_unsafe=0:ignore_noninstrumented_modules=1 \
            jvm_tests '-Dtest=!NativeLibraryTest' "-Ddoorkeeper.test.preload=$runtime" \
            "-Ddoorkeeper.library.path=$PWD/build/$preset/libdoorkeeper.so"
    done
}

# Each target with its corpus, long enough to notice that it broke.
fuzz() {
    local target name corpus seconds=6
    build fuzz "-DCMAKE_C_COMPILER=clang-$CLANG"
    for target in tests/fuzz/fuzz_*.c; do
        name=$(basename "$target" .c)
        name=${name#fuzz_}
        say "fuzz: $name, $seconds s"
        corpus=$(mktemp -d)
        "build/fuzz/fuzz_$name" -max_total_time=$seconds \
            -rss_limit_mb=1024 -print_final_stats=1 -verbosity=0 -artifact_prefix="build/fuzz/" \
            "$corpus" "tests/fuzz/corpus/$name"
        rm -rf "$corpus"
    done
    say "fuzz: principals on the wire"
    jvm_tests -Dtest=PrincipalSerdeFuzzTest -Ddoorkeeper.fuzz.runs=1000000
}

# Of the release build; `werror` is that with the tests.
instruction_counts() {
    say "instructions of a hit"
    build werror
    tests/instructions/check.sh build/werror/probe_hits
}

static_analysis() {
    local sources=() headers=() core=() scripts=()
    mapfile -t sources < <(git ls-files '*.c')
    mapfile -t headers < <(git ls-files '*.h')
    mapfile -t core < <(git ls-files 'native/src/*.c' 'native/cli/*.c' 'jni/*.c')
    mapfile -t scripts < <(git grep -lE '^#!.*(bash|/sh)|shellcheck shell=' -- ':!*.md')
    say "formatting"
    "clang-format-$CLANG" --dry-run --Werror "${sources[@]}" "${headers[@]}"
    say "warnings as errors"
    build werror
    say "gcc -fanalyzer"
    build analyzer
    say "clang-tidy"
    "clang-tidy-$CLANG" --quiet -p build/dev --warnings-as-errors='*' "${core[@]}"
    say "cppcheck"
    # ctuuninitvar takes a function that fills its caller's memory for one that reads it.
    cppcheck --quiet --std=c11 --enable=warning,portability --suppress=ctuuninitvar \
        --error-exitcode=1 -Inative/include native jni
    say "SpotBugs"
    maven -q -f java-shim/pom.xml compile spotbugs:check
    say "shellcheck"
    shellcheck -x "${scripts[@]}"
}
