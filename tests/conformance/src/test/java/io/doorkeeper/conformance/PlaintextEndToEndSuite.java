// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.conformance;

import java.util.Properties;
import kafka.api.PlaintextEndToEndAuthorizationTest;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.extension.ExtendWith;
import scala.collection.Seq;

/** Producers and consumers on three brokers, principals by listener. */
@ExtendWith(Tally.class)
class PlaintextEndToEndSuite extends PlaintextEndToEndAuthorizationTest {
    @Override
    public void modifyConfigs(Seq<Properties> brokers) {
        super.modifyConfigs(brokers);
        Swap.authorizer(brokers);
    }

    @Override
    public Seq<Properties> kraftControllerConfigs(TestInfo test) {
        return Swap.authorizer(super.kraftControllerConfigs(test));
    }
}
