/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;

/**
 * A connection on which one request follows the other, by hand: so that a client can vanish in the
 * middle of an answer, or read it slowly, as no library would.
 */
final class RawExchange implements AutoCloseable {

    private static final int TIMEOUT_MILLIS = 120_000;

    private final Socket socket;
    private final InputStream in;
    private final String host;

    /** What came back, without its content. */
    record Head(int status, Map<String, String> headers) {}

    RawExchange(URI server) throws IOException {
        socket = new Socket(server.getHost(), server.getPort());
        socket.setSoTimeout(TIMEOUT_MILLIS);
        socket.setTcpNoDelay(true);
        in = new BufferedInputStream(socket.getInputStream(), 512);
        host = server.getHost();
    }

    /** Sends a request with JSON as its content, and reads what the answer begins with. */
    Head send(String method, String path, String json) throws IOException {
        byte[] body = json.getBytes(StandardCharsets.UTF_8);
        String head =
                method
                        + ' '
                        + path
                        + " HTTP/1.1\r\nHost: "
                        + host
                        + "\r\nContent-Type: application/json\r\nContent-Length: "
                        + body.length
                        + "\r\n\r\n";
        byte[] first = head.getBytes(StandardCharsets.US_ASCII);
        byte[] all = new byte[first.length + body.length];
        System.arraycopy(first, 0, all, 0, first.length);
        System.arraycopy(body, 0, all, first.length, body.length);
        socket.getOutputStream().write(all);
        int status = Integer.parseInt(line().split(" ")[1]);
        Map<String, String> headers = new TreeMap<>();
        for (String header = line(); !header.isEmpty(); header = line()) {
            int colon = header.indexOf(':');
            headers.put(
                    header.substring(0, colon).toLowerCase(Locale.ROOT),
                    header.substring(colon + 1).trim());
        }
        return new Head(status, headers);
    }

    /** Reads content that is there as a whole, or in chunks. */
    String body(Head head) throws IOException {
        StringBuilder text = new StringBuilder();
        chunks(head, piece -> text.append(piece) != null);
        return text.toString();
    }

    /**
     * Reads content piece by piece.
     *
     * @param more takes a piece and says whether more is wanted
     * @return whether it was read to its end
     */
    boolean chunks(Head head, Predicate<String> more) throws IOException {
        if (!"chunked".equals(head.headers().get("transfer-encoding"))) {
            int length = Integer.parseInt(head.headers().getOrDefault("content-length", "0"));
            more.test(new String(exactly(length), StandardCharsets.UTF_8));
            return true;
        }
        while (true) {
            int length = Integer.parseInt(line().split(";")[0].trim(), 16);
            if (length == 0) {
                line();
                return true;
            }
            String piece = new String(exactly(length), StandardCharsets.UTF_8);
            line();
            if (!more.test(piece)) {
                return false;
            }
        }
    }

    private byte[] exactly(int length) throws IOException {
        byte[] bytes = in.readNBytes(length);
        if (bytes.length < length) {
            throw new EOFException("the connection ended within an answer");
        }
        return bytes;
    }

    private String line() throws IOException {
        StringBuilder line = new StringBuilder();
        for (int c = in.read(); c != '\n'; c = in.read()) {
            if (c < 0) {
                throw new EOFException("the connection ended");
            }
            line.append((char) c);
        }
        return line.toString().strip();
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
