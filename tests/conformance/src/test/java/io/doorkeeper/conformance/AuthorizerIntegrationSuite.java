// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.conformance;

import java.util.Properties;
import kafka.api.AuthorizerIntegrationTest;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.extension.ExtendWith;
import scala.collection.Seq;

/** Every API against every operation it needs: one broker, one controller. */
@ExtendWith(Tally.class)
class AuthorizerIntegrationSuite extends AuthorizerIntegrationTest {
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
