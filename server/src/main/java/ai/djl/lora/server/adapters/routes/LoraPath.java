/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.routes;

import java.util.regex.Pattern;

/** What vLLM and SGLang call an adapter's path: a folder, or a repository of the hub. */
final class LoraPath {

    private static final Pattern REPOSITORY =
            Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*");

    private LoraPath() {}

    /** Returns the source that a path means. */
    static String source(String path) {
        return REPOSITORY.matcher(path).matches() ? "hf:" + path : path;
    }
}
