// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.conformance;

import java.util.Properties;
import kafka.api.SslEndToEndAuthorizationTest;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.extension.ExtendWith;
import scala.collection.Seq;

/** Producers and consumers on three brokers with mutual TLS, known by Doorkeeper's builder. */
@ExtendWith(Tally.class)
class SslEndToEndSuite extends SslEndToEndAuthorizationTest {
    /** The suite calls its nodes and its super user "server", its client by its whole name. */
    private static final String RULES = "RULE:^O=A server,CN=.*$/server/,"
            + "RULE:^O=A client,CN=super-user$/server/,DEFAULT";

    @Override
    public void modifyConfigs(Seq<Properties> brokers) {
        super.modifyConfigs(brokers);
        Swap.principalBuilder(Swap.authorizer(brokers), RULES);
    }

    @Override
    public Seq<Properties> kraftControllerConfigs(TestInfo test) {
        return Swap.principalBuilder(
                Swap.authorizer(super.kraftControllerConfigs(test)), RULES);
    }
}
