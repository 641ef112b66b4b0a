// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import org.apache.kafka.common.protocol.ApiKeys;

/**
 * What Kafka's requests are called. A number that this Kafka does not know is its own name. The
 * table is Kafka's own, which it may change; nothing else of it is used.
 */
final class ApiNames {
    private ApiNames() {
    }

    /** As in Kafka's documentation of its protocol settings: PRODUCE. Part of the question. */
    static String constant(int requestType) {
        return ApiKeys.hasId(requestType)
                ? ApiKeys.forId(requestType).name() : Integer.toString(requestType);
    }

    /** As in the audit lines of Kafka's own authorizer: Produce. */
    static String spoken(int requestType) {
        return ApiKeys.hasId(requestType)
                ? ApiKeys.forId(requestType).name : Integer.toString(requestType);
    }
}
