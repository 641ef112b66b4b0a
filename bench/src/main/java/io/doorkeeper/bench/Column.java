// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

/** The authorizers that hits are measured of. */
enum Column {
    DOORKEEPER("Doorkeeper"),
    PLUGIN("opa-kafka-plugin 1.5.1"),
    LITERAL_ACLS("StandardAuthorizer, an ACL a topic"),
    WILDCARD_ACL("StandardAuthorizer, one ACL for *"),
    ALWAYS_ALLOW("always allow");

    private final String label;

    Column(String label) {
        this.label = label;
    }

    String label() {
        return label;
    }
}
