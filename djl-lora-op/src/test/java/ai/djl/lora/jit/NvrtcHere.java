/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.testng.SkipException;

/** NVRTC where native-op's script finds or fetches it; tests that need it are skipped elsewhere. */
final class NvrtcHere {

    private NvrtcHere() {}

    static Nvrtc load() {
        Process process;
        String output;
        try {
            process =
                    new ProcessBuilder("bash", "../native-op/find.sh", "nvrtc")
                            .redirectErrorStream(true)
                            .start();
            process.getOutputStream().close();
            output =
                    new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8)
                            .strip();
            if (process.waitFor() != 0) {
                throw new SkipException(output);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
        return Nvrtc.load(Path.of(output));
    }
}
