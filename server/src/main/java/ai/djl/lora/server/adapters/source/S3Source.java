/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.source;

import ai.djl.lora.json.Message;
import ai.djl.lora.server.http.HttpFailure;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import software.amazon.awssdk.core.ResponseInputStream;
import software.amazon.awssdk.core.exception.ApiCallTimeoutException;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3ClientBuilder;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.services.s3.model.S3Object;

/**
 * Fetches an adapter from a bucket: an archive, or what lies below a prefix. Who asks is what the
 * AWS SDK finds by its own rules.
 */
final class S3Source implements RemoteSource {

    private static final Pattern SOURCE = Pattern.compile("s3://([a-z0-9][a-z0-9.-]+)/(.+)");

    /** What is one object rather than the beginning of several objects' names. */
    private static final Pattern ONE_FILE =
            Pattern.compile(".*\\.(zip|tar|tar\\.gz|tgz|gguf|safetensors)");

    private static final Pattern PART = Pattern.compile("[^/\\\\:\\p{Cntrl}]{1,255}");

    private final SourceOptions options;
    private S3Client client;

    S3Source(SourceOptions options) {
        this.options = options;
    }

    /** {@inheritDoc} */
    @Override
    public boolean reads(String source) {
        return source.startsWith("s3:");
    }

    /** {@inheritDoc} */
    @Override
    public void check(String source) {
        Matcher parsed = parsed(source);
        if (!options.policy().allowsBucket(parsed.group(1), parsed.group(2))) {
            throw AdapterSources.refused(source);
        }
    }

    private static Matcher parsed(String source) {
        Matcher matcher = SOURCE.matcher(source);
        if (!matcher.matches()) {
            throw HttpFailure.badRequest(
                    "source", "the source " + Message.quote(source) + " is not s3://bucket/key");
        }
        String key = matcher.group(2);
        for (String part :
                key.substring(0, key.length() - (key.endsWith("/") ? 1 : 0)).split("/", -1)) {
            part(part);
        }
        return matcher;
    }

    /** Makes the client when it is needed: finding out who asks takes time, and may ask others. */
    private synchronized S3Client client() {
        if (client == null) {
            S3ClientBuilder builder =
                    S3Client.builder()
                            .httpClientBuilder(
                                    UrlConnectionHttpClient.builder()
                                            .connectionTimeout(options.connectTime())
                                            .socketTimeout(options.connectTime().multipliedBy(3)))
                            .overrideConfiguration(
                                    settings -> settings.apiCallTimeout(options.fetchTime()));
            options.s3Endpoint()
                    .ifPresent(endpoint -> builder.endpointOverride(endpoint).forcePathStyle(true));
            if (options.s3Region().isPresent()) {
                builder.region(Region.of(options.s3Region().get()));
            } else if (options.s3Endpoint().isPresent()) {
                // what it is called does not matter to whoever else speaks the protocol
                builder.region(Region.US_EAST_1);
            }
            client = builder.build();
        }
        return client;
    }

    /** {@inheritDoc} */
    @Override
    public Path fetch(String source, Path folder) {
        Matcher parsed = parsed(source);
        String bucket = parsed.group(1);
        String key = parsed.group(2);
        FetchBudget budget = new FetchBudget(options);
        try {
            if (ONE_FILE.matcher(key).matches()) {
                Path file = folder.resolve(part(key.substring(key.lastIndexOf('/') + 1)));
                get(bucket, key, file, budget);
                return file;
            }
            fetchAll(bucket, key.endsWith("/") ? key : key + '/', folder, budget);
            return folder;
        } catch (ApiCallTimeoutException e) {
            throw budget.late();
        } catch (S3Exception e) {
            throw e.statusCode() == 404
                    ? notFound(source, e)
                    : unavailable("S3 answered " + e.statusCode(), e);
        } catch (SdkException | IOException e) {
            throw unavailable("S3 cannot be reached: " + Message.brief(e), e);
        }
    }

    private void fetchAll(String bucket, String prefix, Path folder, FetchBudget budget)
            throws IOException {
        boolean any = false;
        for (S3Object object :
                client().listObjectsV2Paginator(request -> request.bucket(bucket).prefix(prefix))
                        .contents()) {
            String name = object.key().substring(prefix.length());
            if (!name.isEmpty() && !name.endsWith("/")) {
                any = true;
                Path file = folder;
                for (String part : name.split("/", -1)) {
                    file = file.resolve(part(part));
                }
                Files.createDirectories(file.resolveSibling(""));
                get(bucket, object.key(), file, budget);
            }
        }
        if (!any) {
            throw notFound("s3://" + bucket + '/' + prefix, null);
        }
    }

    /** Refuses what would be something else than a file of the folder. */
    private static String part(String part) {
        if (!PART.matcher(part).matches() || part.equals(".") || part.equals("..")) {
            throw HttpFailure.badRequest(
                    "source",
                    "the name of an object in the bucket has "
                            + Message.quote(part)
                            + " as a part");
        }
        return part;
    }

    private void get(String bucket, String key, Path file, FetchBudget budget) throws IOException {
        budget.takeFile();
        try (ResponseInputStream<GetObjectResponse> in =
                        client().getObject(request -> request.bucket(bucket).key(key));
                OutputStream out = Files.newOutputStream(file)) {
            boolean whole = false;
            try {
                copy(in, out, budget);
                whole = true;
            } finally {
                if (!whole) {
                    // to close it alone would read it to its end
                    in.abort();
                }
            }
        }
    }

    private static void copy(InputStream in, OutputStream out, FetchBudget budget)
            throws IOException {
        byte[] buffer = new byte[1 << 16];
        int count = in.read(buffer);
        while (count >= 0) {
            budget.left();
            budget.take(count);
            out.write(buffer, 0, count);
            count = in.read(buffer);
        }
    }

    private static HttpFailure notFound(String source, Throwable cause) {
        return new HttpFailure(
                400,
                "source_not_found",
                "the source " + Message.quote(source) + " is not there",
                "source",
                Map.of(),
                cause);
    }

    private static HttpFailure unavailable(String message, Throwable cause) {
        return new HttpFailure(502, "source_unavailable", message, "source", Map.of(), cause);
    }

    /** {@inheritDoc} */
    @Override
    public synchronized void close() {
        if (client != null) {
            client.close();
            client = null;
        }
    }
}
