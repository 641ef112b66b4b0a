// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Supplier;
import org.apache.kafka.common.security.auth.KafkaPrincipal;

/** Clients that ask one authorizer for a list each, all at the same time. */
final class ColdLists implements AutoCloseable {
    private final OpenAuthorizer authorizer;
    private final int actions;
    private final List<Requests> clients = new ArrayList<>();
    /** For all clients but the first, who is the caller. */
    private final ExecutorService threads;

    /** {@code principal} is asked for each of the row's threads. */
    ColdLists(OpenAuthorizer authorizer, MissBench.Row row, Supplier<KafkaPrincipal> principal) {
        this.authorizer = authorizer;
        this.actions = row.actions();
        this.threads = Executors.newFixedThreadPool(row.threads());
        for (int i = 0; i < row.threads(); i++) {
            clients.add(new Requests(principal.get()));
        }
    }

    /** Returns when all have their answers; the lists begin at this topic. */
    void ask(int first) {
        List<CompletableFuture<Void>> others = new ArrayList<>();
        for (int i = 1; i < clients.size(); i++) {
            int client = i;
            others.add(CompletableFuture.runAsync(() -> askAs(client, first), threads));
        }
        askAs(0, first);
        others.forEach(CompletableFuture::join);
    }

    private void askAs(int client, int first) {
        Requests requests = clients.get(client);
        authorizer.allow(requests.context(), requests.read(first + client * actions, actions));
    }

    @Override
    public void close() {
        threads.shutdown();
    }
}
