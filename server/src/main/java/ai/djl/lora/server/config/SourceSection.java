/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.config;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.config.ConfigSection;
import ai.djl.lora.server.adapters.source.SourceOptions;
import ai.djl.lora.server.adapters.source.SourcePolicy;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/** The section of a server's file that says from where adapters may come while it runs. */
final class SourceSection {

    private SourceSection() {}

    /** Reads the section, and ends it. */
    static Optional<SourceOptions> parse(ConfigSection section, Function<String, Path> resolve) {
        SourceOptions.Builder options = SourceOptions.builder();
        Duration least = Duration.ofMillis(1);
        Duration most = Duration.ofDays(1);
        section.list("allow", values -> options.optPolicy(policy(values, resolve)));
        section.text("folder", value -> options.optFolder(resolve.apply(value)));
        section.size("bytes", options::optMaxBytes);
        section.integer("files", 1, 1_000_000, options::optMaxFiles);
        section.time("connectTime", least, most, options::optConnectTime);
        section.time("time", least, most, options::optFetchTime);
        section.text("hub", value -> options.optHub(address(value)));
        section.text("bucketEndpoint", value -> options.optS3Endpoint(address(value)));
        section.text("bucketRegion", options::optS3Region);
        boolean present = section.isPresent();
        section.end();
        return present ? Optional.of(options.build()) : Optional.empty();
    }

    private static SourcePolicy policy(List<String> values, Function<String, Path> resolve) {
        return SourcePolicy.of(
                values.stream()
                        .map(
                                value ->
                                        value.matches("[A-Za-z][A-Za-z0-9]*:.*")
                                                ? value
                                                : resolve.apply(value).toString())
                        .toList());
    }

    private static URI address(String value) {
        try {
            return new URI(value);
        } catch (URISyntaxException e) {
            throw new LoraConfigurationException(value + " is no address", e);
        }
    }
}
