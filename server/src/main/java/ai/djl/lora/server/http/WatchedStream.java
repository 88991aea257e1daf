/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/** A response's pieces, of which somebody wants to know when they have ended. */
final class WatchedStream implements Flow.Publisher<byte[]> {

    private final Flow.Publisher<byte[]> pieces;
    private final Listener listener;

    /** Is told once how a stream ended. */
    @FunctionalInterface
    interface Listener {

        void ended(RequestOutcome.End end, long bytes);
    }

    WatchedStream(Flow.Publisher<byte[]> pieces, Listener listener) {
        this.pieces = pieces;
        this.listener = listener;
    }

    /** {@inheritDoc} */
    @Override
    public void subscribe(Flow.Subscriber<? super byte[]> subscriber) {
        pieces.subscribe(new Watch(subscriber, listener));
    }

    private static final class Watch implements Flow.Subscriber<byte[]>, Flow.Subscription {

        private final Flow.Subscriber<? super byte[]> subscriber;
        private final Listener listener;
        private final AtomicBoolean ended = new AtomicBoolean();
        private final AtomicLong bytes = new AtomicLong();
        private volatile Flow.Subscription subscription;

        Watch(Flow.Subscriber<? super byte[]> subscriber, Listener listener) {
            this.subscriber = subscriber;
            this.listener = listener;
        }

        private void end(RequestOutcome.End end) {
            if (ended.compareAndSet(false, true)) {
                listener.ended(end, bytes.get());
            }
        }

        /** {@inheritDoc} */
        @Override
        public void onSubscribe(Flow.Subscription given) {
            subscription = given;
            subscriber.onSubscribe(this);
        }

        /** {@inheritDoc} */
        @Override
        public void onNext(byte[] piece) {
            bytes.addAndGet(piece.length);
            subscriber.onNext(piece);
        }

        /** {@inheritDoc} */
        @Override
        public void onError(Throwable failure) {
            end(RequestOutcome.End.BROKEN);
            subscriber.onError(failure);
        }

        /** {@inheritDoc} */
        @Override
        public void onComplete() {
            end(RequestOutcome.End.WHOLE);
            subscriber.onComplete();
        }

        /** {@inheritDoc} */
        @Override
        public void request(long n) {
            subscription.request(n);
        }

        /** {@inheritDoc} */
        @Override
        public void cancel() {
            end(RequestOutcome.End.CANCELLED);
            subscription.cancel();
        }
    }
}
