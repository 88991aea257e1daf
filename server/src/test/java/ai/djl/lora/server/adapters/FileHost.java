/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * A host of files on this machine, which speaks as much of S3's and the Hugging Face hub's
 * protocols as fetching takes.
 */
final class FileHost implements AutoCloseable {

    private final HttpServer http;
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final Map<String, byte[]> files = new ConcurrentHashMap<>();
    private final Map<String, String> redirects = new ConcurrentHashMap<>();
    private final ConcurrentLinkedQueue<String> seen = new ConcurrentLinkedQueue<>();
    private final CountDownLatch ended = new CountDownLatch(1);

    FileHost() throws IOException {
        http = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        http.setExecutor(threads);
        http.createContext("/", this::answer);
        http.start();
    }

    String url() {
        return "http://127.0.0.1:" + http.getAddress().getPort();
    }

    URI uri() {
        return URI.create(url());
    }

    void put(String path, byte[] content) {
        files.put(path, content);
    }

    void redirect(String path, String location) {
        redirects.put(path, location);
    }

    /** Returns what was asked for, with who asked. */
    List<String> seen() {
        return new ArrayList<>(seen);
    }

    private void answer(HttpExchange exchange) throws IOException {
        try (exchange) {
            String path = exchange.getRequestURI().getPath();
            seen.add(path + ' ' + exchange.getRequestHeaders().getFirst("Authorization"));
            if (path.equals("/stalls")) {
                exchange.sendResponseHeaders(200, 1000);
                exchange.getResponseBody().write(1);
                exchange.getResponseBody().flush();
                ended.await();
            } else if (redirects.containsKey(path)) {
                exchange.getResponseHeaders().set("Location", redirects.get(path));
                exchange.sendResponseHeaders(302, -1);
            } else if (String.valueOf(exchange.getRequestURI().getQuery())
                    .contains("list-type=2")) {
                send(exchange, list(path.substring(1), exchange.getRequestURI().getQuery()));
            } else if (files.containsKey(path)) {
                send(exchange, files.get(path));
            } else {
                exchange.sendResponseHeaders(404, -1);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void send(HttpExchange exchange, byte[] content) throws IOException {
        exchange.sendResponseHeaders(200, content.length);
        exchange.getResponseBody().write(content);
    }

    /** Returns what a bucket has below a prefix, one object a page. */
    private byte[] list(String bucketPath, String query) {
        String bucket = bucketPath.replace("/", "");
        String prefix = parameter(query, "prefix");
        String after = parameter(query, "continuation-token");
        List<String> keys =
                new TreeMap<>(files)
                        .keySet().stream()
                                .filter(path -> path.startsWith('/' + bucket + '/'))
                                .map(path -> path.substring(bucket.length() + 2))
                                .filter(key -> key.startsWith(prefix) && key.compareTo(after) > 0)
                                .toList();
        StringBuilder xml = new StringBuilder("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        xml.append("<ListBucketResult><Name>").append(bucket).append("</Name>");
        xml.append("<IsTruncated>").append(keys.size() > 1).append("</IsTruncated>");
        keys.stream()
                .limit(1)
                .forEach(
                        key ->
                                xml.append("<Contents><Key>")
                                        .append(key)
                                        .append("</Key><Size>1</Size></Contents>"));
        if (keys.size() > 1) {
            xml.append("<NextContinuationToken>")
                    .append(keys.get(0))
                    .append("</NextContinuationToken>");
        }
        return xml.append("</ListBucketResult>").toString().getBytes(StandardCharsets.UTF_8);
    }

    private static String parameter(String query, String name) {
        for (String part : query.split("&")) {
            if (part.startsWith(name + '=')) {
                return part.substring(name.length() + 1);
            }
        }
        return "";
    }

    @Override
    public void close() {
        ended.countDown();
        http.stop(0);
        threads.shutdownNow();
    }
}
