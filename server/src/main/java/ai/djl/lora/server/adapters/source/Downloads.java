/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.source;

import ai.djl.lora.json.Message;
import ai.djl.lora.server.http.HttpFailure;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Predicate;

/** Fetches files over HTTP, from hosts that are allowed alone, also where one leads to another. */
final class Downloads {

    private static final int MAX_REDIRECTS = 5;

    private final HttpClient client;

    Downloads(Duration connectTime) {
        client =
                HttpClient.newBuilder()
                        .connectTimeout(connectTime)
                        .followRedirects(HttpClient.Redirect.NEVER)
                        .build();
    }

    /**
     * Fetches a file.
     *
     * @param uri where it is
     * @param bearer what says there who asks; null for nobody. It is not sent elsewhere
     * @param allowed whether a redirect may be followed
     * @param file where it goes
     * @param budget how much it may have
     */
    void fetch(URI uri, String bearer, Predicate<URI> allowed, Path file, FetchBudget budget) {
        budget.takeFile();
        URI next = uri;
        for (int i = 0; i <= MAX_REDIRECTS; ++i) {
            boolean here = isSameOrigin(uri, next);
            HttpResponse<Path> response = send(next, here ? bearer : null, file, budget);
            int status = response.statusCode();
            if (status == 200) {
                return;
            }
            if (status < 300 || status >= 400) {
                throw unavailable(next, status);
            }
            URI target = target(next, response);
            if (!allowed.test(target)) {
                throw new HttpFailure(
                        403,
                        "source_not_allowed",
                        next.getHost()
                                + " leads to "
                                + Message.quote(String.valueOf(target.getHost()))
                                + ", which is not among the sources that are allowed",
                        "source",
                        Map.of(),
                        null);
            }
            next = target;
        }
        throw failed(uri, "leads on and on", null);
    }

    /** Returns whether two addresses are of one host and port, by one scheme. */
    static boolean isSameOrigin(URI one, URI other) {
        return String.valueOf(one.getScheme()).equalsIgnoreCase(other.getScheme())
                && String.valueOf(one.getHost()).equalsIgnoreCase(other.getHost())
                && one.getPort() == other.getPort();
    }

    private static URI target(URI from, HttpResponse<Path> response) {
        String location = response.headers().firstValue("location").orElse("");
        try {
            return from.resolve(new URI(location));
        } catch (URISyntaxException e) {
            throw failed(from, "leads to what is no address", e);
        }
    }

    private HttpResponse<Path> send(URI uri, String bearer, Path file, FetchBudget budget) {
        HttpRequest.Builder request = HttpRequest.newBuilder(uri).GET();
        if (bearer != null) {
            request.header("Authorization", "Bearer " + bearer);
        }
        CompletableFuture<HttpResponse<Path>> answer =
                client.sendAsync(
                        request.build(),
                        info ->
                                info.statusCode() == 200
                                        ? new FileSubscriber(file, budget)
                                        : HttpResponse.BodySubscribers.replacing(file));
        try {
            return answer.get(budget.left().toNanos(), TimeUnit.NANOSECONDS);
        } catch (TimeoutException e) {
            throw budget.late();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new HttpFailure(503, "cancelled", "the server is ending");
        } catch (ExecutionException e) {
            Throwable cause = e.getCause();
            while (cause instanceof CompletionException && cause.getCause() != null) {
                cause = cause.getCause();
            }
            // what the body's subscriber throws comes as the cause of what the client throws
            for (Throwable inner = cause; inner != null; inner = inner.getCause()) {
                if (inner instanceof HttpFailure known) {
                    throw known;
                }
            }
            String why = cause instanceof IOException ? Message.brief(cause) : "failed";
            throw failed(uri, "cannot be reached: " + why, e);
        } finally {
            answer.cancel(true);
        }
    }

    private static HttpFailure unavailable(URI uri, int status) {
        if (status == 404 || status == 410) {
            return new HttpFailure(
                    400,
                    "source_not_found",
                    "the source is not there: " + uri.getHost() + " answered " + status,
                    "source",
                    Map.of(),
                    null);
        }
        return failed(uri, "answered " + status, null);
    }

    private static HttpFailure failed(URI uri, String why, Throwable cause) {
        return new HttpFailure(
                502, "source_unavailable", uri.getHost() + ' ' + why, "source", Map.of(), cause);
    }
}
