# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What a decision costs, beside other authorizers: docs/internals/bench.md

# bench [--short] | bench jvm | bench change
bench() {
    local main heap=512m
    case "$*" in
    '' | --short) main=Bench ;;
    jvm)
        # The room that a million questions take where the cache is on Java's side.
        main=Bench heap=3g
        set -- --matrix
        ;;
    change)
        main=ChangeBench
        shift
        ;;
    *)
        usage >&2
        return 2
        ;;
    esac
    setup_build
    setup_opa
    build release
    maven -q -f java-shim/pom.xml install -Dmaven.test.skip=true
    maven -q -f bench/pom.xml process-classes
    # Every column's JVM gets the same flags: those of Kafka's start script, with less memory.
    "${JAVA_HOME:-$(java_home)}/bin/java" -server -Xms512m "-Xmx$heap" \
        -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 \
        -XX:+ExplicitGCInvokesConcurrent \
        -cp "bench/target/classes:$(cat bench/target/class-path)" "io.doorkeeper.bench.$main" \
        --library build/release/libdoorkeeper.so --opa .dev/bin/opa --policies policies \
        --directory build/bench "$@"
}
