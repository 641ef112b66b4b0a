// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.errors.CoordinatorLoadInProgressException;
import org.apache.kafka.common.errors.CoordinatorNotAvailableException;
import org.apache.kafka.common.errors.KafkaStorageException;
import org.apache.kafka.common.errors.LeaderNotAvailableException;
import org.apache.kafka.common.errors.NotEnoughReplicasException;
import org.apache.kafka.common.errors.NotLeaderOrFollowerException;
import org.apache.kafka.common.errors.ThrottlingQuotaExceededException;
import org.apache.kafka.common.errors.TimeoutException;

/**
 * What makes a client ask again later instead of fail, where nobody could be asked whether it may.
 * There is no error that says so, and each kind of request has another one that its clients take as
 * a passing trouble; docs/outages.md has what each client does with it.
 */
final class RetriableErrors {
    private static final String TEXT =
            "The policy could not be asked (Open Policy Agent gave no answer); try again";
    private static final int CREATION_RETRY_MS = 1000;

    private RetriableErrors() {
    }

    /** For a request of this type, Kafka's number. Without a stack, as Kafka's errors are. */
    static ApiException of(int requestType) {
        switch (ApiNames.constant(requestType)) {
            case "PRODUCE":
                return new NotEnoughReplicasException(TEXT);
            case "FETCH":
            case "SHARE_FETCH":
            case "SHARE_ACKNOWLEDGE":
                return new KafkaStorageException(TEXT);
            case "METADATA":
                return new LeaderNotAvailableException(TEXT);
            case "LIST_OFFSETS":
            case "OFFSET_FOR_LEADER_EPOCH":
                return new NotLeaderOrFollowerException(TEXT);
            case "FIND_COORDINATOR":
            case "SYNC_GROUP":
            case "CONSUMER_GROUP_HEARTBEAT":
            case "SHARE_GROUP_HEARTBEAT":
            case "STREAMS_GROUP_HEARTBEAT":
                return new CoordinatorNotAvailableException(TEXT);
            case "JOIN_GROUP":
            case "HEARTBEAT":
            case "LEAVE_GROUP":
            case "OFFSET_COMMIT":
            case "OFFSET_FETCH":
            case "INIT_PRODUCER_ID":
            case "ADD_PARTITIONS_TO_TXN":
            case "ADD_OFFSETS_TO_TXN":
            case "TXN_OFFSET_COMMIT":
            case "END_TXN":
                return new CoordinatorLoadInProgressException(TEXT);
            case "CREATE_TOPICS":
            case "DELETE_TOPICS":
            case "CREATE_PARTITIONS":
                return new ThrottlingQuotaExceededException(CREATION_RETRY_MS, TEXT);
            default:
                return new TimeoutException(TEXT);
        }
    }
}
