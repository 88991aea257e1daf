/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import com.google.gson.JsonObject;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.archivers.tar.TarConstants;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

/** Adapters that are sent as archives, and the copies that the server keeps of them. */
public class UploadTest {

    private static final String ZIP = "application/zip";
    private static final String GZIP = "application/gzip";

    private AdapterServer server;
    private Path copies;

    @BeforeMethod
    public void start() throws Exception {
        copies = Files.createTempDirectory("copies");
        server = new AdapterServer(sources -> sources.optFolder(copies));
    }

    @AfterMethod(alwaysRun = true)
    public void stop() {
        server.close();
    }

    private static Map<String, byte[]> files(String adapter, String prefix) throws IOException {
        Map<String, byte[]> files = new LinkedHashMap<>();
        for (String name : List.of("adapter_config.json", "adapter_model.safetensors")) {
            files.put(
                    prefix + name,
                    Files.readAllBytes(Path.of(AdapterServer.source(adapter), name)));
        }
        return files;
    }

    private static byte[] zip(Map<String, byte[]> files) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
            for (Map.Entry<String, byte[]> file : files.entrySet()) {
                zip.putNextEntry(new ZipEntry(file.getKey()));
                zip.write(file.getValue());
            }
        }
        return bytes.toByteArray();
    }

    private static byte[] tarGz(Map<String, byte[]> files) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (TarArchiveOutputStream tar = new TarArchiveOutputStream(new GZIPOutputStream(bytes))) {
            for (Map.Entry<String, byte[]> file : files.entrySet()) {
                TarArchiveEntry entry = new TarArchiveEntry(file.getKey(), true);
                entry.setSize(file.getValue().length);
                tar.putArchiveEntry(entry);
                tar.write(file.getValue());
                tar.closeArchiveEntry();
            }
        }
        return bytes.toByteArray();
    }

    private long copies() throws IOException {
        try (Stream<Path> list = Files.list(copies)) {
            return list.count();
        }
    }

    @Test
    public void testUploadsAreKeptAsLongAsTheyAreNeeded() throws Exception {
        byte[] archive = zip(files("rot13", ""));
        String hash =
                HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(archive));
        JsonObject made =
                server.upload(201, "POST", "/adapters/x/upload?sha256=" + hash, ZIP, archive);
        Assert.assertEquals(made.get("src").getAsString(), "upload");
        Assert.assertFalse(made.toString().contains(copies.toString()), made.toString());
        Assert.assertEquals(server.answer("x", "hello="), "uryyb");
        AdapterServer.message(server.upload(409, "POST", "/adapters/x/upload", ZIP, archive));

        JsonObject swapped =
                server.upload(
                        200,
                        "PUT",
                        "/adapters/x?smoke_prompt=hello%3D",
                        GZIP,
                        tarGz(files("reverse", "folder/")));
        Assert.assertTrue(swapped.get("drained").getAsBoolean(), "drained");
        Assert.assertEquals(server.answer("x", "hello="), "olleh");
        JsonObject shown = server.get("/adapters/x");
        Assert.assertFalse(shown.toString().contains(copies.toString()), shown.toString());

        // the earlier revision can be had again, so its copy stays
        server.server().adapters().sweep(Duration.ZERO);
        Assert.assertEquals(copies(), 2);
        server.send(200, "POST", "/adapters/x/rollback");
        Assert.assertEquals(server.answer("x", "hello="), "uryyb");
        server.send(200, "DELETE", "/adapters/x");
        server.server().adapters().sweep(Duration.ofHours(1));
        Assert.assertEquals(copies(), 2);
        server.server().adapters().sweep(Duration.ZERO);
        Assert.assertEquals(copies(), 0);

        server.upload(201, "PUT", "/adapters/y", ZIP, archive);
        Assert.assertEquals(server.answer("y", "hello="), "uryyb");
    }

    @Test
    public void testWrongUploads() throws Exception {
        byte[] good = zip(files("rot13", ""));
        String path = "/adapters/x/upload";
        refused(400, path, ZIP, new byte[0], "the body is empty");
        refused(400, path, ZIP, "no archive".getBytes(StandardCharsets.UTF_8), "archive");
        refused(400, path, ZIP, Arrays.copyOf(good, good.length / 2), "");
        refused(400, path + "?sha256=" + "0".repeat(64), ZIP, good, "has the SHA-256");
        refused(400, path + "?sha256=0", ZIP, good, "64 hexadecimal digits");
        refused(400, path + "?pin=2", ZIP, good, "pin is neither true nor false");
        refused(400, path + "?priority=x", ZIP, good, "priority is not a number");
        refused(415, path, "text/plain", good, "the content type is text/plain");
        refused(400, path, ZIP, zip(Map.of("readme.txt", new byte[9])), "adapter_model");
        server.send(405, "GET", path);
        server.send(415, "POST", path);
        Assert.assertEquals(copies(), 0);
    }

    @Test
    public void testArchivesThatLeadOut() throws Exception {
        for (String name : List.of("../x", "/x", "a/../../x", "..\\x", "C:\\x")) {
            Map<String, byte[]> files = files("rot13", "");
            files.put(name, new byte[3]);
            refused(400, "/adapters/x/upload", ZIP, zip(files), "");
            refused(400, "/adapters/x/upload", GZIP, tarGz(files), "");
        }
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (TarArchiveOutputStream tar = new TarArchiveOutputStream(bytes)) {
            TarArchiveEntry link = new TarArchiveEntry("link", TarConstants.LF_SYMLINK);
            link.setLinkName("/etc/passwd");
            tar.putArchiveEntry(link);
            tar.closeArchiveEntry();
        }
        refused(
                400,
                "/adapters/x/upload",
                "application/x-tar",
                bytes.toByteArray(),
                "is a link, a device or a sparse file");
    }

    @Test
    public void testBombs() throws Exception {
        Map<String, byte[]> files = Map.of("zeros", new byte[64 << 20]);
        refused(400, "/adapters/x/upload", ZIP, zip(files), "");
        refused(400, "/adapters/x/upload", GZIP, tarGz(files), "");
        Map<String, byte[]> many = new LinkedHashMap<>();
        for (int i = 0; i < 10_001; ++i) {
            many.put("f" + i, new byte[0]);
        }
        refused(400, "/adapters/x/upload", ZIP, zip(many), "");
    }

    private void refused(int status, String path, String type, byte[] content, String message)
            throws Exception {
        String told = AdapterServer.message(server.upload(status, "POST", path, type, content));
        Assert.assertTrue(told.contains(message), told);
        Assert.assertFalse(told.contains(copies.toString()), told);
        Assert.assertEquals(copies(), 0);
        Assert.assertEquals(
                AdapterServer.names(server.get("/adapters").getAsJsonArray("adapters")),
                List.of("reverse", "upper"));
    }
}
