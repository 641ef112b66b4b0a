// SPDX-License-Identifier: Apache-2.0

import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionStage;
import org.apache.kafka.common.Endpoint;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.metrics.Monitorable;
import org.apache.kafka.common.metrics.PluginMetrics;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.server.authorizer.AclCreateResult;
import org.apache.kafka.server.authorizer.AclDeleteResult;
import org.apache.kafka.server.authorizer.Action;
import org.apache.kafka.server.authorizer.AuthorizableRequestContext;
import org.apache.kafka.server.authorizer.AuthorizationResult;
import org.apache.kafka.server.authorizer.Authorizer;
import org.apache.kafka.server.authorizer.AuthorizerServerInfo;

/**
 * The authorizer that timed.authorizer names, with a line in the file timed.file for each call of
 * authorize() that takes some milliseconds: how many.
 */
public final class TimedAuthorizer implements Authorizer, Monitorable {
    private static final long SLOW_MS = 5;

    private Authorizer timed;
    private PrintStream file;

    @Override
    public void configure(Map<String, ?> settings) {
        try {
            file = new PrintStream(
                    new FileOutputStream((String) settings.get("timed.file"), true), true);
            timed = (Authorizer) Class.forName((String) settings.get("timed.authorizer"))
                    .getConstructor().newInstance();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (ReflectiveOperationException e) {
            throw new IllegalArgumentException(e);
        }
        timed.configure(settings);
    }

    @Override
    public List<AuthorizationResult> authorize(AuthorizableRequestContext context,
            List<Action> actions) {
        long began = System.nanoTime();
        try {
            return timed.authorize(context, actions);
        } finally {
            long ms = (System.nanoTime() - began) / 1_000_000;
            if (ms >= SLOW_MS) {
                file.println(ms);
            }
        }
    }

    @Override
    public void withPluginMetrics(PluginMetrics metrics) {
        if (timed instanceof Monitorable) {
            ((Monitorable) timed).withPluginMetrics(metrics);
        }
    }

    @Override
    public AuthorizationResult authorizeByResourceType(AuthorizableRequestContext context,
            AclOperation operation, ResourceType type) {
        return timed.authorizeByResourceType(context, operation, type);
    }

    @Override
    public Map<Endpoint, ? extends CompletionStage<Void>> start(AuthorizerServerInfo server) {
        return timed.start(server);
    }

    @Override
    public List<? extends CompletionStage<AclCreateResult>> createAcls(
            AuthorizableRequestContext context, List<AclBinding> bindings) {
        return timed.createAcls(context, bindings);
    }

    @Override
    public List<? extends CompletionStage<AclDeleteResult>> deleteAcls(
            AuthorizableRequestContext context, List<AclBindingFilter> filters) {
        return timed.deleteAcls(context, filters);
    }

    @Override
    public Iterable<AclBinding> acls(AclBindingFilter filter) {
        return timed.acls(filter);
    }

    @Override
    public void close() throws IOException {
        timed.close();
        file.close();
    }
}
