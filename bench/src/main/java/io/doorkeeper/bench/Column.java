// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

/** The authorizers that hits are measured of. */
enum Column {
    DOORKEEPER("Doorkeeper"),
    /** The same with a decision log in its usual mode. */
    RECORDING("Doorkeeper with a decision log"),
    PLUGIN("opa-kafka-plugin 1.5.1"),
    LITERAL_ACLS("StandardAuthorizer, an ACL a topic"),
    WILDCARD_ACL("StandardAuthorizer, one ACL for *"),
    ALWAYS_ALLOW("always allow");

    private final String label;

    Column(String label) {
        this.label = label;
    }

    boolean isDoorkeeper() {
        return this == DOORKEEPER || this == RECORDING;
    }

    String label() {
        return label;
    }
}
