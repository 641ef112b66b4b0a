# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What a decision costs, beside other authorizers: docs/internals/bench.md

async_profiler_version=4.1

# bench [--short] | bench jvm | bench broker [--short] [--consumers N] | bench change | bench outage |
# bench report
bench() {
    case "${1-}" in
    '') bench_java 512m Bench ;;
    --short) bench_java 512m Bench --short ;;
    # The room that a million decisions take where the cache is on Java's side.
    jvm) bench_java 3g Bench --matrix ;;
    change) bench_java 512m ChangeBench ;;
    outage) bench_java 512m OutageBench ;;
    broker)
        shift
        bench_broker "$@"
        ;;
    report)
        bench_classes
        bench_main 512m Page build/bench docs/images
        ;;
    *)
        usage >&2
        return 2
        ;;
    esac
}

bench_classes() {
    setup_build
    build release
    maven -q -f java-shim/pom.xml install -Dmaven.test.skip=true
    maven -q -f bench/pom.xml process-classes
}

# bench_main HEAP CLASS [arguments]; every column's JVM gets the same flags: those of Kafka's start
# script, with less memory.
bench_main() {
    local heap=$1 main=$2
    shift 2
    "${JAVA_HOME:-$(java_home)}/bin/java" -server -Xms512m "-Xmx$heap" \
        -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 \
        -XX:+ExplicitGCInvokesConcurrent \
        -cp "bench/target/classes:$(cat bench/target/class-path)" "io.doorkeeper.bench.$main" "$@"
}

# bench_java HEAP CLASS [arguments]
bench_java() {
    setup_opa
    bench_classes
    bench_main "$@" --library build/release/libdoorkeeper.so --opa .dev/bin/opa \
        --policies policies --directory build/bench
}

# bench_broker [arguments of broker.py]
bench_broker() {
    setup_all
    setup_profiler
    bench_classes
    package
    kafka_jars 4.3.1
    .dev/venv/bin/python bench/broker/broker.py "$@"
}

# Samples CPU time in Java and C; its jar holds a library for each platform.
setup_profiler() {
    local directory=.dev/async-profiler platform
    [ ! -f "$directory/libasyncProfiler.so" ] || return 0
    apt_install unzip
    say "fetching async-profiler from Maven Central into $directory"
    case $(uname -m) in
    aarch64) platform=linux-arm64 ;;
    *) platform=linux-x64 ;;
    esac
    maven -q dependency:copy "-DoutputDirectory=$PWD/$directory" \
        "-Dartifact=tools.profiler:async-profiler:$async_profiler_version"
    unzip -qjo "$directory/async-profiler-$async_profiler_version.jar" \
        "$platform/libasyncProfiler.so" -d "$directory"
}
