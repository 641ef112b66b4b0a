// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.conformance;

import io.doorkeeper.kafka.DoorkeeperPrincipalBuilder;
import java.util.Properties;
import scala.collection.Seq;
import scala.jdk.javaapi.CollectionConverters;

/** Replaces classes in the settings of the nodes that a suite is about to start. */
final class Swap {
    private Swap() {
    }

    static Seq<Properties> authorizer(Seq<Properties> nodes) {
        CollectionConverters.asJava(nodes).forEach(node ->
                node.setProperty("authorizer.class.name", JudgedAuthorizer.class.getName()));
        return nodes;
    }

    /** Doorkeeper's principal builder, with rules that give the names of the suite's own. */
    static Seq<Properties> principalBuilder(Seq<Properties> nodes, String mappingRules) {
        CollectionConverters.asJava(nodes).forEach(node -> {
            node.setProperty("principal.builder.class", DoorkeeperPrincipalBuilder.class.getName());
            node.setProperty("ssl.principal.mapping.rules", mappingRules);
            node.setProperty("doorkeeper.library.path",
                    System.getProperty("doorkeeper.library.path"));
        });
        return nodes;
    }
}
