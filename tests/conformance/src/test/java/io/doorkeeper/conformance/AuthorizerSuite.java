// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.conformance;

import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import kafka.security.authorizer.AuthorizerTest;
import org.apache.kafka.common.Endpoint;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.metrics.PluginMetrics;
import org.apache.kafka.common.security.auth.SecurityProtocol;
import org.apache.kafka.controller.ControllerRequestContext;
import org.apache.kafka.controller.MockAclMutator;
import org.apache.kafka.metadata.authorizer.AclMutator;
import org.apache.kafka.metadata.authorizer.StandardAuthorizerTest;
import org.apache.kafka.server.authorizer.AclCreateResult;
import org.apache.kafka.server.authorizer.AclDeleteResult;
import org.apache.kafka.server.authorizer.Authorizer;
import org.junit.jupiter.api.extension.ExtendWith;

/** The meaning of ACLs, without a broker. */
@ExtendWith(Tally.class)
class AuthorizerSuite extends AuthorizerTest {
    @Override
    public Authorizer createAuthorizer() {
        return new JudgedAuthorizer();
    }

    @Override
    public void configureAuthorizer(Authorizer created, Map<String, Object> configs,
                                    PluginMetrics metrics) {
        JudgedAuthorizer authorizer = (JudgedAuthorizer) created;
        authorizer.configure(configs);
        authorizer.withPluginMetrics(metrics);
        authorizer.start(new StandardAuthorizerTest.AuthorizerTestServerInfo(List.of(
                new Endpoint("PLAINTEXT", SecurityProtocol.PLAINTEXT, "127.0.0.1", 9020))));
        authorizer.setAclMutator(new AclStore(authorizer));
        authorizer.completeInitialLoad();
    }

    /** Stands for the metadata log: writes straight into the judge's ACLs. */
    private static final class AclStore implements AclMutator {
        private final JudgedAuthorizer authorizer;
        private final MockAclMutator acls;

        AclStore(JudgedAuthorizer authorizer) {
            this.authorizer = authorizer;
            this.acls = new MockAclMutator(authorizer.judge());
        }

        @Override
        public CompletableFuture<List<AclCreateResult>> createAcls(
                ControllerRequestContext context, List<AclBinding> bindings) {
            return authorizer.changeAcls(() -> acls.createAcls(context, bindings));
        }

        @Override
        public CompletableFuture<List<AclDeleteResult>> deleteAcls(
                ControllerRequestContext context, List<AclBindingFilter> filters) {
            return authorizer.changeAcls(() -> acls.deleteAcls(context, filters));
        }
    }
}
