# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What runs on a real broker: the end-to-end tests, Kafka's own suites, the demo.

# fetch_jars DIRECTORY POM [Maven arguments]
fetch_jars() {
    local directory=$1 pom=$2
    shift 2
    [ ! -f "$directory/complete" ] || return 0
    say "fetching what $pom names from Maven Central into $directory"
    rm -rf "$directory"
    maven -q -f "$pom" dependency:copy-dependencies "-DoutputDirectory=$PWD/$directory" "$@"
    touch "$directory/complete"
}

# The jars of a broker and its tools, in .dev/kafka-VERSION.
kafka_jars() {
    fetch_jars ".dev/kafka-$1" tests/e2e/kafka/pom.xml "-Dkafka.version=$1"
}

# end_to_end_tests VERSION [pytest arguments], on what `package` wrote
end_to_end_tests() {
    local version=$1
    shift
    kafka_jars "$version"
    KAFKA_VERSION=$version .dev/venv/bin/python -m pytest tests/e2e "$@"
}

# chaos_tests [tests and pytest arguments], on what `package` wrote
chaos_tests() {
    setup_chaos
    kafka_jars 4.3.1
    "${JAVA_HOME:-$(java_home)}/bin/javac" -d build/chaos -cp ".dev/kafka-4.3.1/*" \
        tests/chaos/*.java
    .dev/venv/bin/python -m pytest "${@:-tests/chaos}"
}

# soak [--plugin] [SECONDS]: what is too long for every change. Each fault lasts for a while, and all
# kinds of clients begin in each; with --plugin they are those of opa-kafka-plugin.
soak() {
    local tests=tests/chaos
    setup_all
    package
    if [ "${1-}" = --plugin ]; then
        shift
        tests=tests/chaos/report_plugin.py
        fetch_jars .dev/opa-kafka-plugin tests/chaos/plugin/pom.xml
    fi
    chaos_tests "$tests" --all-begin --fault-seconds "${1:-30}"
}

demo() {
    setup_all
    package
    kafka_jars 4.3.1
    exec .dev/venv/bin/python demo/demo.py "$@"
}

# conformance [--subset]
conformance() {
    local profile=()
    [ "${1-}" != --subset ] || profile=(-Psubset)
    setup_build
    build release
    maven -q -f java-shim/pom.xml install -Dmaven.test.skip=true
    maven -f tests/conformance/pom.xml test "${profile[@]}"
    cat tests/conformance/target/conformance.txt
}
