# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# For ./dev check: builds an image and runs the story of docker/compose.yaml, where a container
# engine works. Where it reaches no registry, the bases are stand-ins made from the packages of
# this distribution and the jars of Maven Central, and the output says so.

kafka_image=docker.io/apache/kafka:4.3.1
opa_image=docker.io/openpolicyagent/opa:1.22.2-static
containers=build/containers
# podman's own limits are more than an engine inside a container may give.
podman_limits=(--ulimit nofile=4096:4096 --ulimit nproc=4096:4096)
image=localhost/doorkeeper-check

container_check() {
    local engine
    if ! engine=$(container_engine); then
        say "containers: skipped, because neither docker nor podman works here"
        return
    fi
    mkdir -p "$containers"
    if pull_images; then
        say "containers: docker/Dockerfile on $kafka_image, by $engine"
        image_build docker/Dockerfile --build-arg "BASE=$kafka_image"
        container_story
    else
        stand_in_check
    fi
}

# Docker's client alone is no engine: the question is whether somebody answers it.
container_engine() {
    local engine
    for engine in docker podman; do
        if timeout 30 "$engine" info >/dev/null 2>&1; then
            echo "$engine"
            return
        fi
    done
    return 1
}

pull_images() {
    timeout 300 "$engine" pull "$kafka_image" >"$containers/pull.log" 2>&1 &&
        timeout 300 "$engine" pull "$opa_image" >>"$containers/pull.log" 2>&1
}

# image_build DOCKERFILE ARGUMENTS...
image_build() {
    local dockerfile=$1
    shift
    engine_build -f "$dockerfile" -t "$image" "$@" .
}

engine_build() {
    local flags=()
    [ "$engine" != podman ] || flags=(--pull=never --isolation=chroot)
    timeout 1200 "$engine" build "${flags[@]}" "$@" >"$containers/build.log" 2>&1 || {
        tail -n 50 "$containers/build.log" >&2
        return 1
    }
}

container_story() {
    local compose=(docker compose) status=0
    if [ "$engine" = podman ]; then
        setup_podman_compose
        compose=(.dev/podman-compose/bin/podman-compose
            "--podman-run-args=${podman_limits[*]}")
    fi
    compose+=(-p "doorkeeper-check-$$" -f docker/compose.yaml)
    export DOORKEEPER_IMAGE=$image OPA_IMAGE=$opa_image
    timeout 600 "${compose[@]}" run --rm -T story || status=$?
    "${compose[@]}" down -v >/dev/null 2>&1 || true
    return "$status"
}

setup_podman_compose() {
    [ ! -x .dev/podman-compose/bin/podman-compose ] || return 0
    say "installing podman-compose from PyPI into .dev/podman-compose"
    apt_install python3-venv
    python3 -m venv .dev/podman-compose
    .dev/podman-compose/bin/pip install --quiet podman-compose==1.6.0
}

stand_in_check() {
    if [ "$(id -u)" -ne 0 ]; then
        say "containers: skipped, because no registry answers and a stand-in needs root"
        return
    fi
    say "containers: no registry answers; making STAND-INS for the images of Kafka and OPA"
    distribution_image
    if ! engine_starts_containers; then
        say "containers: skipped, because $engine cannot start a container here"
        return
    fi
    kafka_stand_in
    tar -C .dev/bin -c opa | "$engine" import --change 'ENTRYPOINT ["/opa"]' - \
        "$image-opa-stand-in" >/dev/null 2>&1
    say "containers: docker/Dockerfile.glibc on a STAND-IN for a Kafka image, by $engine"
    image_build docker/Dockerfile.glibc --build-arg "BASE=$image-kafka-stand-in"
    opa_image=$image-opa-stand-in
    container_story
}

engine_starts_containers() {
    local limits=()
    [ "$engine" != podman ] || limits=("${podman_limits[@]}")
    timeout 60 "$engine" run --rm --network none "${limits[@]}" "$image-distribution" true
}

# The distribution of this machine, with the certificate authorities that the machine trusts.
distribution_image() {
    apt_install debootstrap
    local codename authorities=usr/local/share/ca-certificates
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    (
        root=$(mktemp -d)
        trap 'rm -rf "$root"' EXIT
        # Debian has no "universe" and says so in the log; Ubuntu keeps cJSON there.
        timeout 900 debootstrap --variant=minbase --components=main,universe "$codename" "$root" \
            >"$containers/debootstrap.log" 2>&1
        mkdir -p "$root/$authorities"
        cp -r "/$authorities/." "$root/$authorities/"
        tar -C "$root" -c . | "$engine" import - "$image-distribution" >/dev/null 2>&1
    )
}

# The jars of a broker, with something in the place of Kafka's scripts.
kafka_stand_in() {
    local context=$containers/kafka tool
    rm -rf "$context"
    mkdir -p "$context/bin"
    maven -q -f tests/e2e/kafka/pom.xml dependency:copy-dependencies \
        -DoutputDirectory="$PWD/$context/libs"
    for tool in storage server-start topics console-producer console-consumer; do
        cp docker/stand-in/tool "$context/bin/kafka-$tool.sh"
    done
    chmod 755 "$context"/bin/*
    engine_build -f docker/stand-in/Dockerfile -t "$image-kafka-stand-in" \
        --build-arg "BASE=$image-distribution" "$context"
}
