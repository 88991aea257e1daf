/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.server;

import ai.djl.lora.LoraConfigurationException;
import java.net.URI;
import java.net.URISyntaxException;
import picocli.CommandLine.Option;

/** Which running server is meant, and who asks it. */
public final class ServerOptions {

    @Option(
            names = "--url",
            paramLabel = "URL",
            defaultValue = "http://127.0.0.1:8080",
            description = "The server's address. Default: http://127.0.0.1:8080.")
    private String url;

    @Option(
            names = "--key",
            paramLabel = "KEY",
            defaultValue = "${env:DJL_LORA_API_KEY}",
            description = "An API key (default: the environment's DJL_LORA_API_KEY).")
    private String key;

    /**
     * Returns a client of the server.
     *
     * @return the client
     * @throws LoraConfigurationException if the address is none
     */
    public AdapterClient client() {
        try {
            URI uri = new URI(url.endsWith("/") ? url.substring(0, url.length() - 1) : url);
            if (uri.getHost() != null) {
                return new AdapterClient(uri, key);
            }
        } catch (URISyntaxException e) {
            throw wrong(e);
        }
        throw wrong(null);
    }

    private LoraConfigurationException wrong(Throwable cause) {
        return new LoraConfigurationException(
                "--url is " + url + "; expected an address such as http://127.0.0.1:8080", cause);
    }
}
