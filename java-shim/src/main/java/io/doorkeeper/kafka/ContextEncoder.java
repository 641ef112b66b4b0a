// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.server.authorizer.AuthorizableRequestContext;

/**
 * Writes context records (question.h): who asks, and from where, with exactly the fields that the
 * operator chose, and the certificate for the core's own rules. Immutable; any thread.
 */
final class ContextEncoder {
    /** Groups of fields, as enum dk_field_group of config.h. */
    static final int GROUP_SUBJECT = 1;
    static final int GROUP_CERTIFICATE = 1 << 1;
    static final int GROUP_LISTENER = 1 << 2;
    static final int GROUP_PROTOCOL = 1 << 3;
    static final int GROUP_ADDRESS = 1 << 4;
    static final int GROUP_CLIENT_ID = 1 << 5;
    static final int GROUP_API = 1 << 6;

    /** Tags of fields, as enum dk_field of question.h. */
    private static final int LOCAL_CERTIFICATE = 0;
    private static final int CLUSTER_ID = 1;
    private static final int PRINCIPAL_TYPE = 2;
    private static final int PRINCIPAL_NAME = 3;
    private static final int SUBJECT = 4;
    private static final int CERTIFICATE = 5;
    private static final int LISTENER = 6;
    private static final int FORWARDED = 7;
    private static final int PROTOCOL = 8;
    private static final int ADDRESS = 9;
    private static final int CLIENT_ID = 10;
    private static final int API = 11;
    private static final int COUNT = 12;

    private static final int FIELD_HEADER = 8;

    private final int groups;
    private final byte[] clusterId;

    /** {@code groups}: the fields that doorkeeper.question.fields chose. */
    ContextEncoder(int groups, String clusterId) {
        this.groups = groups;
        this.clusterId = Utf8.encodeLossy(clusterId);
    }

    /** Whether two requests of one connection may differ in what is encoded here. */
    boolean variesByRequest() {
        return has(GROUP_CLIENT_ID) || has(GROUP_API);
    }

    /** The record; null if some text of it has no UTF-8, so that nothing can be asked. */
    byte[] encode(AuthorizableRequestContext context) {
        KafkaPrincipal principal = context.principal();
        Fields fields = new Fields();
        fields.put(CLUSTER_ID, clusterId);
        fields.put(PRINCIPAL_TYPE, principal.getPrincipalType());
        fields.put(PRINCIPAL_NAME, principal.getName());
        if (principal instanceof DoorkeeperPrincipal) {
            putCertificate(fields, (DoorkeeperPrincipal) principal);
        }
        putClient(fields, context);
        return fields.record();
    }

    private void putCertificate(Fields fields, DoorkeeperPrincipal principal) {
        fields.notAfterSeconds = principal.notAfterSeconds();
        fields.put(LOCAL_CERTIFICATE, principal.certificateRecord());
        if (has(GROUP_SUBJECT)) {
            fields.put(SUBJECT, principal.subjectRecord());
        }
        if (has(GROUP_CERTIFICATE)) {
            fields.put(CERTIFICATE, principal.certificateRecord());
        }
    }

    private void putClient(Fields fields, AuthorizableRequestContext context) {
        boolean forwarded = isForwarded(context.principal());
        if (has(GROUP_LISTENER)) {
            fields.put(LISTENER, forwarded
                    ? clientListener(context.principal()) : context.listenerName());
            fields.put(FORWARDED, new byte[] {(byte) (forwarded ? 1 : 0)});
        }
        if (has(GROUP_PROTOCOL) && !forwarded) { // it would be that of the broker's connection
            fields.put(PROTOCOL, context.securityProtocol().name);
        }
        if (has(GROUP_ADDRESS) && context.clientAddress() != null) {
            fields.put(ADDRESS, text(context.clientAddress()));
        }
        if (has(GROUP_CLIENT_ID) && context.clientId() != null) {
            fields.put(CLIENT_ID, context.clientId());
        }
        if (has(GROUP_API)) {
            fields.put(API, ApiNames.constant(context.requestType()));
        }
    }

    private static boolean isForwarded(KafkaPrincipal principal) {
        return principal instanceof DoorkeeperPrincipal
                ? ((DoorkeeperPrincipal) principal).forwarded()
                : ForwardedPrincipals.find(principal) != null;
    }

    /** Where the client of a forwarded request connected. Empty, not the controller's listener,
     *  if the broker that forwarded it did not say. */
    private static String clientListener(KafkaPrincipal principal) {
        Optional<String> known = principal instanceof DoorkeeperPrincipal
                ? Optional.ofNullable(((DoorkeeperPrincipal) principal).clientListener())
                : ForwardedPrincipals.find(principal);
        return known.orElse("");
    }

    private boolean has(int group) {
        return (groups & group) != 0;
    }

    /** An address without its zone, which is this machine's name of an interface. */
    static String text(InetAddress address) {
        String text = address.getHostAddress();
        int zone = text.indexOf('%');
        return zone < 0 ? text : text.substring(0, zone);
    }

    /** The parts of one record, by their tags. */
    private static final class Fields {
        private final byte[][] values = new byte[COUNT][];
        private long notAfterSeconds;
        private boolean unencodable;

        /** Null: the field is not there. */
        void put(int tag, byte[] value) {
            values[tag] = value;
        }

        void put(int tag, String text) {
            values[tag] = Utf8.encode(text);
            unencodable |= values[tag] == null;
        }

        byte[] record() {
            return unencodable ? null : write();
        }

        private byte[] write() {
            int size = Long.BYTES;
            for (byte[] value : values) {
                size += value == null ? 0 : FIELD_HEADER + value.length;
            }
            ByteBuffer out = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
            out.putLong(notAfterSeconds);
            for (int tag = 0; tag < values.length; tag++) {
                if (values[tag] != null) {
                    out.putInt(tag).putInt(values[tag].length).put(values[tag]);
                }
            }
            return out.array();
        }
    }
}
