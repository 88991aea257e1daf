/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server;

import ai.djl.lora.LoraConfigurationException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Stream;

/**
 * Where a server is to listen.
 *
 * @param main where it takes requests
 * @param management where it is managed; empty where one port serves all
 */
record ServerAddresses(InetSocketAddress main, Optional<InetSocketAddress> management) {

    private static final String THIS_MACHINE = "127.0.0.1";

    /**
     * Finds the addresses. Management has a port of its own where it is asked for, and where others
     * than this machine can reach the main one.
     *
     * @param host the main host
     * @param port its port; 0 for a free one
     * @param managementHost the host of management; this machine alone where it is empty
     * @param managementPort the port of management; the next one after the main one where it is
     *     empty
     * @return the addresses
     * @throws LoraConfigurationException if a host is not known, or there is no next port
     */
    static ServerAddresses of(
            String host, int port, Optional<String> managementHost, OptionalInt managementPort) {
        InetSocketAddress main = new InetSocketAddress(address(host), port);
        boolean own =
                managementPort.isPresent()
                        || managementHost.isPresent()
                        || !main.getAddress().isLoopbackAddress();
        if (!own) {
            return new ServerAddresses(main, Optional.empty());
        }
        int number = managementPort.orElse(port == 0 ? 0 : checkPort("port", port + 1));
        return new ServerAddresses(
                main,
                Optional.of(
                        new InetSocketAddress(
                                address(managementHost.orElse(THIS_MACHINE)), number)));
    }

    private static InetAddress address(String host) {
        try {
            return InetAddress.getByName(host);
        } catch (UnknownHostException e) {
            throw new LoraConfigurationException("host is " + host + ", which is not known", e);
        }
    }

    /**
     * Checks a port.
     *
     * @param name what it is called
     * @param value the port
     * @return the port
     * @throws LoraConfigurationException if there is no such port
     */
    static int checkPort(String name, int value) {
        if (value < 0 || value > 65_535) {
            throw new LoraConfigurationException(
                    name + " is " + value + "; it must be from 0 to 65535");
        }
        return value;
    }

    /** Returns the addresses of all sockets. */
    List<InetAddress> all() {
        return Stream.concat(Stream.of(main), management.stream())
                .map(InetSocketAddress::getAddress)
                .toList();
    }
}
