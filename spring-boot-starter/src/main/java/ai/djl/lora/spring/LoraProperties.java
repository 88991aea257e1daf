/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.spring;

import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * What is served.
 *
 * @param model the base model's folder, in Hugging Face layout; nothing is served without it
 * @param name the name by which requests ask for the base model; that of its folder by default
 * @param adapters adapters' folders or archives, by the names by which requests ask for them
 * @param dtype the type to compute in: float32, float16 or bfloat16
 * @param backend what computes; the first that works by default
 * @param residency a file that says where adapters are kept (docs/residency.md)
 * @param replicas how many engines answer, side by side over the one model
 * @param host the address to listen on
 * @param port the port to listen on; 0, the default, is a free one
 * @param maxTokens the tokens of an answer where a request names no number
 * @param drainTime how long requests may go on when the application ends
 */
@ConfigurationProperties("djl.lora")
public record LoraProperties(
        Path model,
        String name,
        Map<String, Path> adapters,
        @DefaultValue("float32") String dtype,
        String backend,
        Path residency,
        @DefaultValue("1") int replicas,
        @DefaultValue("127.0.0.1") String host,
        @DefaultValue("0") int port,
        @DefaultValue("256") int maxTokens,
        @DefaultValue("30s") Duration drainTime) {

    /**
     * Constructs a new {@code LoraProperties} instance.
     *
     * @param model the base model's folder, in Hugging Face layout
     * @param name the name by which requests ask for the base model
     * @param adapters adapters' folders or archives, by the names by which requests ask for them
     * @param dtype the type to compute in
     * @param backend what computes
     * @param residency a file that says where adapters are kept
     * @param replicas how many engines answer, side by side over the one model
     * @param host the address to listen on
     * @param port the port to listen on
     * @param maxTokens the tokens of an answer where a request names no number
     * @param drainTime how long requests may go on when the application ends
     */
    public LoraProperties {
        adapters = adapters == null ? Map.of() : new LinkedHashMap<>(adapters);
    }

    /**
     * Returns the name by which requests ask for the base model.
     *
     * @return the name that was set, or that of the model's folder
     */
    public String modelName() {
        return name == null ? String.valueOf(model.toAbsolutePath().getFileName()) : name;
    }

    /**
     * Returns how the model is loaded.
     *
     * @return the arguments of DJL's Criteria
     */
    public Map<String, String> arguments() {
        Map<String, String> arguments = new LinkedHashMap<>();
        arguments.put("dtype", dtype);
        if (backend != null) {
            arguments.put("backend", backend);
        }
        if (residency != null) {
            arguments.put("residency", residency.toString());
        }
        return arguments;
    }
}
