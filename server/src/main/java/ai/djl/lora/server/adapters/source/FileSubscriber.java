/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.source;

import java.io.IOException;
import java.io.OutputStream;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Flow;

/** Writes a response into a file as it comes, as far as the budget goes. */
final class FileSubscriber implements HttpResponse.BodySubscriber<Path> {

    private final Path file;
    private final FetchBudget budget;
    private final CompletableFuture<Path> body = new CompletableFuture<>();
    private Flow.Subscription subscription;
    private OutputStream out;

    FileSubscriber(Path file, FetchBudget budget) {
        this.file = file;
        this.budget = budget;
    }

    /** {@inheritDoc} */
    @Override
    public CompletionStage<Path> getBody() {
        return body;
    }

    /** {@inheritDoc} */
    @Override
    public void onSubscribe(Flow.Subscription given) {
        subscription = given;
        try {
            out = Files.newOutputStream(file);
            given.request(1);
        } catch (IOException e) {
            given.cancel();
            body.completeExceptionally(e);
        }
    }

    /** {@inheritDoc} */
    @Override
    public void onNext(List<ByteBuffer> buffers) {
        try {
            for (ByteBuffer buffer : buffers) {
                byte[] bytes = new byte[buffer.remaining()];
                buffer.get(bytes);
                budget.take(bytes.length);
                out.write(bytes);
            }
            subscription.request(1);
        } catch (IOException | RuntimeException e) {
            subscription.cancel();
            end(e);
        }
    }

    /** {@inheritDoc} */
    @Override
    public void onError(Throwable failure) {
        end(failure);
    }

    /** {@inheritDoc} */
    @Override
    public void onComplete() {
        end(null);
    }

    private void end(Throwable failure) {
        try {
            out.close();
        } catch (IOException e) {
            body.completeExceptionally(e);
        }
        if (failure == null) {
            body.complete(file);
        } else {
            body.completeExceptionally(failure);
        }
    }
}
