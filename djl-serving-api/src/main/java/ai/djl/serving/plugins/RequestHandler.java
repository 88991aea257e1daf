/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.serving.plugins;

import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.QueryStringDecoder;

/**
 * What a plugin exports.
 *
 * @param <T> what a request is answered with
 */
public interface RequestHandler<T> {

    /**
     * Returns whether a request is this handler's.
     *
     * @param msg the request
     * @return whether it is
     */
    boolean acceptInboundMessage(Object msg);

    /**
     * Answers a request.
     *
     * @param ctx where it came from
     * @param req the request
     * @param decoder its path and parameters
     * @param segments its path
     * @return the answer, a future of it, or null where it is sent otherwise
     */
    T handleRequest(
            ChannelHandlerContext ctx,
            FullHttpRequest req,
            QueryStringDecoder decoder,
            String[] segments);
}
