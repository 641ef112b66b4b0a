// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.apache.kafka.common.Endpoint;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.errors.KafkaStorageException;
import org.apache.kafka.common.errors.SecurityDisabledException;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.server.authorizer.AclCreateResult;
import org.apache.kafka.server.authorizer.AclDeleteResult;
import org.apache.kafka.server.authorizer.Action;
import org.apache.kafka.server.authorizer.AuthorizableRequestContext;
import org.apache.kafka.server.authorizer.AuthorizationResult;
import org.apache.kafka.server.authorizer.Authorizer;
import org.apache.kafka.server.authorizer.AuthorizerServerInfo;

/**
 * Kafka's authorizer that asks Open Policy Agent: set as {@code authorizer.class.name} on brokers
 * and controllers from Kafka 3.9 on. From 4.1 on, {@link MonitorableDoorkeeperAuthorizer} is the
 * same with metrics.
 *
 * <p>It allows only what the core allows. Where nobody decided, the request fails with an error
 * after which the client asks again, if doorkeeper.on.unavailable says so. Whatever goes wrong here,
 * a question is denied (an error of the JVM itself, as lack of memory, is passed on, which fails the
 * request). All methods but
 * {@code configure} and {@code start} may be called by any thread, also while and after
 * {@link #close} runs; a core that is closed denies.
 */
public class DoorkeeperAuthorizer implements Authorizer {
    /** A slow answer here would stall the quorum, so a controller waits less. */
    private static final int CONTROLLER_DEADLINE_MS = 50;
    private static final ThreadLocal<AuthorizeCall> CALL =
            ThreadLocal.withInitial(AuthorizeCall::new);

    private final AtomicBoolean closed = new AtomicBoolean();
    private final RareLine failureLines = new RareLine();
    private final RareLine refusalLines = new RareLine();
    private Listeners listeners;
    private volatile Core core;
    private volatile ContextEncoder contexts;
    private volatile int deadlineCapMs;

    @Override
    public void configure(Map<String, ?> configs) {
        NativeLibrary.load(configs);
        listeners = new Listeners(configs);
        Core acquired = Core.acquire(Settings.forCore(configs));
        contexts = new ContextEncoder(acquired.fieldGroups(), "");
        core = acquired;
        acquired.log(NativeCore.LOG_INFO, "the core was loaded from " + NativeLibrary.origin());
    }

    /**
     * Listeners that the cluster itself needs open at once. The others open when OPA is ready, or
     * after doorkeeper.start.wait.ms: a broker without OPA runs, and denies what it cannot answer.
     */
    @Override
    public Map<Endpoint, ? extends CompletionStage<Void>> start(AuthorizerServerInfo serverInfo) {
        String clusterId = Objects.toString(serverInfo.clusterResource().clusterId(), "");
        core.setClusterId(clusterId);
        contexts = new ContextEncoder(core.fieldGroups(), clusterId);
        deadlineCapMs =
                listeners.areControllers(serverInfo.endpoints()) ? CONTROLLER_DEADLINE_MS : 0;
        return openings(serverInfo);
    }

    private Map<Endpoint, CompletableFuture<Void>> openings(AuthorizerServerInfo serverInfo) {
        CompletableFuture<Void> ready = new CompletableFuture<>();
        Map<Endpoint, CompletableFuture<Void>> started = new HashMap<>();
        for (Endpoint endpoint : serverInfo.endpoints()) {
            boolean now = listeners.isNeededByCluster(endpoint, serverInfo.earlyStartListeners());
            started.put(endpoint, now ? CompletableFuture.completedFuture(null) : ready);
        }
        if (started.containsValue(ready)) {
            Thread waiting = new Thread(() -> completeWhenReady(ready), "doorkeeper-start");
            waiting.setDaemon(true);
            waiting.start();
        }
        return started;
    }

    private void completeWhenReady(CompletableFuture<Void> ready) {
        try {
            if (!core.awaitReady() && !core.isStopped()) {
                core.log(NativeCore.LOG_ERROR, "OPA was not ready within " + core.startWaitMs()
                        + " ms (doorkeeper.start.wait.ms): clients may connect now, and what the"
                        + " cache does not know is answered by doorkeeper.on.unavailable until OPA"
                        + " is ready");
            }
        } finally {
            ready.complete(null); // never exceptionally: that would end the broker
        }
    }

    @Override
    public List<AuthorizationResult> authorize(AuthorizableRequestContext context,
                                               List<Action> actions) {
        return deniedIfItFails(actions.size(),
                () -> decide(context, actions.toArray(new Action[0]), true));
    }

    /** Asks a question of its own: "any resource of this type", which has no name. */
    @Override
    public AuthorizationResult authorizeByResourceType(AuthorizableRequestContext context,
                                                       AclOperation operation, ResourceType type) {
        return deniedIfItFails(1, () -> {
            ResourcePattern any = new ResourcePattern(type, "", PatternType.LITERAL);
            return decide(context, new Action[] {new Action(operation, any, 1, true, true)}, false);
        }).get(0);
    }

    private List<AuthorizationResult> decide(AuthorizableRequestContext context, Action[] actions,
                                             boolean named) {
        AuthorizeCall call = CALL.get();
        call.begin(actions, named);
        try {
            KnownContext known = KnownContext.of(contexts, context);
            if (isRefused(context.principal())) {
                sayWhyRefused((DoorkeeperPrincipal) context.principal());
            } else {
                call.decide(core, known, deadlineCapMs);
            }
            call.audit(core, context, known);
            if (core.letsRetry() && call.isUndecided()) {
                throw retriable(context);
            }
            return call.results();
        } finally {
            call.end();
        }
    }

    /** A whole request fails, also where only some of its actions have no decision: a list that is
     *  shorter than the truth would be taken for the truth. */
    private ApiException retriable(AuthorizableRequestContext context) {
        ApiException error = RetriableErrors.of(context.requestType());
        if (error instanceof KafkaStorageException) {
            FetchPause.begin(context.principal(), core.fetchPauseMs());
        }
        return error;
    }

    private static boolean isRefused(KafkaPrincipal principal) {
        return principal instanceof DoorkeeperPrincipal
                && ((DoorkeeperPrincipal) principal).refused();
    }

    private void sayWhyRefused(DoorkeeperPrincipal principal) {
        if (refusalLines.isDue()) {
            core.log(NativeCore.LOG_WARN,
                    principal + " is denied everything: " + principal.refusal());
        }
    }

    private List<AuthorizationResult> deniedIfItFails(int count,
                                                      Supplier<List<AuthorizationResult>> answer) {
        try {
            return answer.get();
        } catch (ApiException e) {
            throw e; // for the client to ask again
        } catch (RuntimeException | LinkageError e) {
            sayThatItFailed(e);
            return Collections.nCopies(count, AuthorizationResult.DENIED);
        }
    }

    private void sayThatItFailed(Throwable e) {
        Core known = core;
        if (known != null && failureLines.isDue()) {
            StackTraceElement[] stack = e.getStackTrace();
            known.log(NativeCore.LOG_ERROR, "a question could not be asked and was denied: " + e
                    + (stack.length == 0 ? "" : " at " + stack[0]));
        }
    }

    /** Makes every cached decision unreachable. */
    public void flush() {
        core.flush();
    }

    /** Name and help of every counter, by turns; {@link #metric} has their values. */
    static String[] metricNames() {
        return NativeCore.metricNames();
    }

    /** The counter at this place of {@link #metricNames}; 0 after {@link #close}. */
    long metric(int which) {
        return core.metric(which);
    }

    @Override
    public List<? extends CompletionStage<AclCreateResult>> createAcls(
            AuthorizableRequestContext context, List<AclBinding> bindings) {
        return bindings.stream()
                .map(binding -> CompletableFuture.completedFuture(new AclCreateResult(noAcls())))
                .collect(Collectors.toList());
    }

    @Override
    public List<? extends CompletionStage<AclDeleteResult>> deleteAcls(
            AuthorizableRequestContext context, List<AclBindingFilter> filters) {
        return filters.stream()
                .map(filter -> CompletableFuture.completedFuture(new AclDeleteResult(noAcls())))
                .collect(Collectors.toList());
    }

    @Override
    public Iterable<AclBinding> acls(AclBindingFilter filter) {
        throw noAcls();
    }

    private static ApiException noAcls() {
        return new SecurityDisabledException(
                "There are no ACLs: this cluster is guarded by Doorkeeper, whose policy is in OPA");
    }

    @Override
    public void close() {
        if (core != null && closed.compareAndSet(false, true)) {
            core.release();
        }
    }
}
