// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.util.List;
import java.util.Map;
import javax.security.auth.kerberos.KerberosPrincipal;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.config.internals.BrokerSecurityConfigs;
import org.apache.kafka.common.security.auth.KafkaPrincipalSerde;
import org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder;
import org.apache.kafka.common.security.kerberos.KerberosShortNamer;
import org.apache.kafka.common.security.ssl.SslPrincipalMapper;

/**
 * The one place that uses classes which Kafka keeps to itself and may change: its default principal
 * builder, with the two mappers that it needs. So names are exactly Kafka's.
 */
final class KafkaInternals {
    private KafkaInternals() {
    }

    /**
     * Kafka's own builder, as Kafka would set it up for a listener with these settings.
     *
     * @throws ConfigException if this version of Kafka does not have what is needed
     */
    static DefaultKafkaPrincipalBuilder defaultBuilder(Map<String, ?> configs) {
        try {
            return new DefaultKafkaPrincipalBuilder(kerberosNames(configs), sslNames(configs));
        } catch (LinkageError e) {
            throw new ConfigException("this version of Kafka does not have the principal builder"
                    + " that Doorkeeper extends: " + e);
        }
    }

    /** Kafka's own wire format of principals, version 0. Any thread. */
    static KafkaPrincipalSerde defaultSerde() {
        return new DefaultKafkaPrincipalBuilder(null, null);
    }

    private static SslPrincipalMapper sslNames(Map<String, ?> configs) {
        Object rules = configs.get(BrokerSecurityConfigs.SSL_PRINCIPAL_MAPPING_RULES_CONFIG);
        return SslPrincipalMapper.fromRules(rules == null
                ? BrokerSecurityConfigs.DEFAULT_SSL_PRINCIPAL_MAPPING_RULES : rules.toString());
    }

    /** Null where there are no rules, as in Kafka: then nobody can come by GSSAPI either. */
    private static KerberosShortNamer kerberosNames(Map<String, ?> configs) {
        Object rules = configs.get(
                BrokerSecurityConfigs.SASL_KERBEROS_PRINCIPAL_TO_LOCAL_RULES_CONFIG);
        if (!(rules instanceof List)) {
            return null;
        }
        @SuppressWarnings("unchecked") // Kafka's ConfigDef made it a list of strings
        List<String> texts = (List<String>) rules;
        return KerberosShortNamer.fromUnparsedRules(defaultRealm(), texts);
    }

    /** As Kafka finds it: a host without Kerberos has none. */
    private static String defaultRealm() {
        try {
            return new KerberosPrincipal("any", KerberosPrincipal.KRB_NT_PRINCIPAL).getRealm();
        } catch (IllegalArgumentException | SecurityException e) {
            return "";
        }
    }
}
