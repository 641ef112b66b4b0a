// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.conformance;

import java.util.Properties;
import scala.collection.Seq;
import scala.jdk.javaapi.CollectionConverters;

/** Replaces the authorizer in the settings of the nodes that a suite is about to start. */
final class Swap {
    private Swap() {
    }

    static Seq<Properties> authorizer(Seq<Properties> nodes) {
        CollectionConverters.asJava(nodes).forEach(node ->
                node.setProperty("authorizer.class.name", JudgedAuthorizer.class.getName()));
        return nodes;
    }
}
