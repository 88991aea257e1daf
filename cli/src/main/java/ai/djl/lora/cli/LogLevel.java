/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.lora.server.config.ServerConfig;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;

/** How much is logged. */
enum LogLevel {
    TRACE,
    DEBUG,
    INFO,
    WARN,
    ERROR;

    private static final String PROPERTY = "org.slf4j.simpleLogger.";

    /**
     * Sets how much is logged from now on, which has to be before the first logger.
     *
     * @param level the level; null for the file's
     * @param access whether requests are noted, whatever the file says
     * @param file a server's configuration; null for none
     */
    static void apply(LogLevel level, boolean access, Path file) {
        ServerConfig.Logs logs =
                file == null
                        ? new ServerConfig.Logs(Optional.empty(), false)
                        : ServerConfig.logs(file);
        Optional.ofNullable(level)
                .map(Enum::name)
                .or(logs::level)
                .ifPresent(
                        name ->
                                System.setProperty(
                                        PROPERTY + "defaultLogLevel",
                                        name.toLowerCase(Locale.ROOT)));
        System.setProperty(PROPERTY + "log.ai.djl.lora.audit", "info");
        if (access || logs.access()) {
            System.setProperty(PROPERTY + "log.ai.djl.lora.access", "info");
        }
    }

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
