/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.config;

import ai.djl.lora.config.ConfigSection;
import ai.djl.lora.server.netty.ConnectionLimits;
import ai.djl.lora.server.security.RateLimit;
import ai.djl.lora.server.security.RateLimitOptions;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/** The sections of a server's file that say what clients may take, and how often. */
final class LimitSections {

    private static final int MOST = 1_000_000_000;
    private static final Duration SOME = Duration.ofMillis(1);
    private static final Duration DAY = Duration.ofDays(1);

    private LimitSections() {}

    static Optional<ConnectionLimits> connections(ConfigSection section) {
        ConnectionLimits defaults = ConnectionLimits.DEFAULTS;
        int[] counts = {defaults.connections(), defaults.queuedRequests()};
        long[] sizes = {defaults.headerBytes(), defaults.bodyBytes(), defaults.uploadBytes()};
        Duration[] times = {
            defaults.headerTime(), defaults.bodyTime(), defaults.idleTime(), defaults.stallTime()
        };
        section.integer("connections", 1, 1_000_000, value -> counts[0] = value);
        section.integer("queuedRequests", 1, 1_000_000, value -> counts[1] = value);
        section.size("headers", value -> sizes[0] = value);
        section.size("body", value -> sizes[1] = value);
        section.size("upload", value -> sizes[2] = value);
        section.time("headerTime", SOME, DAY, value -> times[0] = value);
        section.time("bodyTime", SOME, DAY, value -> times[1] = value);
        section.time("idleTime", SOME, DAY, value -> times[2] = value);
        section.time("stallTime", SOME, DAY, value -> times[3] = value);
        section.checkThat("headers", sizes[0] <= 1 << 20, "must be 1MiB or less");
        section.checkThat(
                "body", sizes[1] <= 1 << 30, "must be 1GiB or less, since it is in memory");
        section.end();
        if (sizes[0] > 1 << 20 || sizes[1] > 1 << 30) {
            return Optional.empty();
        }
        return Optional.of(
                new ConnectionLimits(
                        counts[0],
                        (int) sizes[0],
                        (int) sizes[1],
                        sizes[2],
                        times[0],
                        times[1],
                        times[2],
                        times[3],
                        counts[1]));
    }

    static RateLimitOptions rates(ConfigSection section) {
        Optional<RateLimit> global = rate(section.section("global"));
        Optional<RateLimit> perCaller = rate(section.section("perCaller"));
        Optional<RateLimit> perAdapter = rate(section.section("perAdapter"));
        Map<String, RateLimit> adapters = new HashMap<>();
        section.items(
                "adapters",
                item -> {
                    String[] name = new String[1];
                    item.text("name", value -> name[0] = value);
                    item.require("name");
                    rate(item)
                            .filter(limit -> name[0] != null)
                            .ifPresent(limit -> adapters.put(name[0], limit));
                });
        section.end();
        return new RateLimitOptions(global, perCaller, perAdapter, adapters);
    }

    /** Reads a limit, and ends its section. */
    static Optional<RateLimit> rate(ConfigSection section) {
        int[] requests = new int[1];
        Duration[] per = {Duration.ofSeconds(1)};
        int[] burst = new int[1];
        section.integer("requests", 1, MOST, value -> requests[0] = value);
        section.time("per", SOME, DAY, value -> per[0] = value);
        section.integer("burst", 1, MOST, value -> burst[0] = value);
        section.require("requests");
        section.end();
        if (requests[0] == 0) {
            return Optional.empty();
        }
        return Optional.of(
                new RateLimit(requests[0], per[0], burst[0] == 0 ? requests[0] : burst[0]));
    }
}
