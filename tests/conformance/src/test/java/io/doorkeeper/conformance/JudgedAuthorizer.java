// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.conformance;

import io.doorkeeper.kafka.DoorkeeperAuthorizer;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.common.Endpoint;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.metrics.Metrics;
import org.apache.kafka.common.metrics.Monitorable;
import org.apache.kafka.common.metrics.PluginMetrics;
import org.apache.kafka.common.metrics.internals.PluginMetricsImpl;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.metadata.authorizer.AclMutator;
import org.apache.kafka.metadata.authorizer.ClusterMetadataAuthorizer;
import org.apache.kafka.metadata.authorizer.StandardAcl;
import org.apache.kafka.metadata.authorizer.StandardAuthorizer;
import org.apache.kafka.server.authorizer.Action;
import org.apache.kafka.server.authorizer.AuthorizableRequestContext;
import org.apache.kafka.server.authorizer.AuthorizationResult;
import org.apache.kafka.server.authorizer.AuthorizerServerInfo;

/**
 * What Kafka's suites load in place of StandardAuthorizer. The ACLs that the tests create live in a
 * StandardAuthorizer, the judge; every question is answered by Doorkeeper, which asks an OPA that
 * in turn asks the judge. The judge is also asked directly, and Doorkeeper must say the same.
 */
public final class JudgedAuthorizer implements ClusterMetadataAuthorizer, Monitorable {
    private static final int ATTEMPTS = 50;

    private final StandardAuthorizer judge = new StandardAuthorizer();
    private final DoorkeeperAuthorizer doorkeeper = new DoorkeeperAuthorizer();
    /** Odd while the ACLs change, another number afterwards. */
    private final AtomicInteger aclVersion = new AtomicInteger();
    private Set<String> superUsers;
    private OpaOverAcls opa;

    @Override
    public void configure(Map<String, ?> configs) {
        judge.configure(configs);
        judge.withPluginMetrics(new PluginMetricsImpl(new Metrics(), Map.of()));
        Object names = configs.get(StandardAuthorizer.SUPER_USERS_CONFIG);
        superUsers = names == null ? Set.of()
                : Stream.of(names.toString().split(";")).map(String::trim).collect(Collectors.toSet());
        opa = new OpaOverAcls(judge, superUsers);

        Map<String, Object> settings = new HashMap<>(configs);
        settings.put("doorkeeper.opa.url", opa.url());
        settings.put("doorkeeper.library.path", System.getProperty("doorkeeper.library.path"));
        // ACLs are decided by host, so the address belongs to the question.
        settings.put("doorkeeper.question.fields", "subject,listener,address");
        // The suites judge answers, not times: a slow machine must not turn one into a denial.
        settings.put("doorkeeper.deadline.ms", "2000");
        settings.put("doorkeeper.waiting.threads", "64");
        settings.put("doorkeeper.cache.entries", "16384");
        doorkeeper.configure(settings);
    }

    @Override
    public void withPluginMetrics(PluginMetrics metrics) {
        if (doorkeeper instanceof Monitorable) {
            ((Monitorable) doorkeeper).withPluginMetrics(metrics);
        }
    }

    @Override
    public Map<Endpoint, ? extends CompletionStage<Void>> start(AuthorizerServerInfo serverInfo) {
        Map<Endpoint, CompletionStage<Void>> started = new HashMap<>(judge.start(serverInfo));
        doorkeeper.start(serverInfo).forEach((endpoint, ready) ->
                started.merge(endpoint, ready, (a, b) -> a.thenCombine(b, (none, nothing) -> null)));
        return started;
    }

    @Override
    public List<AuthorizationResult> authorize(AuthorizableRequestContext context,
                                               List<Action> actions) {
        Tally.asked(actions.size(), isSuperUser(context));
        return judged(() -> doorkeeper.authorize(context, actions),
                () -> judge.authorize(context, actions), () -> context + " " + actions);
    }

    @Override
    public AuthorizationResult authorizeByResourceType(AuthorizableRequestContext context,
                                                       AclOperation operation, ResourceType type) {
        Tally.asked(1, isSuperUser(context));
        return judged(() -> List.of(doorkeeper.authorizeByResourceType(context, operation, type)),
                () -> List.of(judge.authorizeByResourceType(context, operation, type)),
                () -> context + " " + operation + " of any " + type).get(0);
    }

    /** Doorkeeper's answer. Where ACLs change between the two answers, both are asked again. */
    private List<AuthorizationResult> judged(Supplier<List<AuthorizationResult>> question,
                                             Supplier<List<AuthorizationResult>> judgement,
                                             Supplier<String> description) {
        for (int attempt = 1; ; attempt++) {
            int version = aclVersion.get();
            List<AuthorizationResult> answer = question.get();
            List<AuthorizationResult> expected;
            try {
                expected = judgement.get();
            } catch (RuntimeException refusal) {
                // StandardAuthorizer throws where it is not loaded or was misused.
                if (answer.contains(AuthorizationResult.ALLOWED)) {
                    Tally.differs(description.get() + ": " + answer + ", not " + refusal);
                }
                throw refusal;
            }
            if (answer.equals(expected)) {
                return answer;
            }
            boolean aclsStoodStill = version % 2 == 0 && version == aclVersion.get();
            if (aclsStoodStill || attempt == ATTEMPTS) {
                Tally.differs(description.get() + ": " + answer + ", not " + expected);
                return answer;
            }
            Thread.yield();
        }
    }

    private boolean isSuperUser(AuthorizableRequestContext context) {
        return superUsers.contains(
                context.principal().getPrincipalType() + ":" + context.principal().getName());
    }

    /** Changes the judge's ACLs; what Doorkeeper remembers of the earlier ones ends with it. */
    synchronized <T> T changeAcls(Supplier<T> change) {
        aclVersion.incrementAndGet();
        try {
            return change.get();
        } finally {
            doorkeeper.flush();
            aclVersion.incrementAndGet();
        }
    }

    private void changeAcls(Runnable change) {
        changeAcls(() -> {
            change.run();
            return null;
        });
    }

    StandardAuthorizer judge() {
        return judge;
    }

    @Override
    public void setAclMutator(AclMutator mutator) {
        judge.setAclMutator(mutator);
    }

    @Override
    public AclMutator aclMutatorOrException() {
        return judge.aclMutatorOrException();
    }

    @Override
    public void completeInitialLoad() {
        changeAcls(() -> judge.completeInitialLoad());
    }

    @Override
    public void completeInitialLoad(Exception failure) {
        changeAcls(() -> judge.completeInitialLoad(failure));
    }

    @Override
    public void loadSnapshot(Map<Uuid, StandardAcl> acls) {
        changeAcls(() -> judge.loadSnapshot(acls));
    }

    @Override
    public void addAcl(Uuid id, StandardAcl acl) {
        changeAcls(() -> judge.addAcl(id, acl));
    }

    @Override
    public void removeAcl(Uuid id) {
        changeAcls(() -> judge.removeAcl(id));
    }

    @Override
    public Iterable<AclBinding> acls(AclBindingFilter filter) {
        return judge.acls(filter);
    }

    @Override
    public int aclCount() {
        return judge.aclCount();
    }

    @Override
    public void close() throws IOException {
        try {
            doorkeeper.close();
        } finally {
            judge.close();
            opa.close();
        }
    }
}
