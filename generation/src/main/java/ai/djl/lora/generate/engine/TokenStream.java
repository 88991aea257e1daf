/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.concurrent.Flow;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The tokens of a request, kept so that whoever comes late sees them all. */
final class TokenStream implements Flow.Publisher<GeneratedToken>, Iterable<GeneratedToken> {

    private static final Logger logger = LoggerFactory.getLogger(TokenStream.class);

    private final List<GeneratedToken> tokens = new ArrayList<>();
    private final List<Reader> readers = new ArrayList<>();
    private boolean ended;
    private RuntimeException reason;

    /** Adds a token and hands it on. */
    void add(GeneratedToken token) {
        List<Reader> waiting;
        synchronized (this) {
            tokens.add(token);
            notifyAll();
            waiting = List.copyOf(readers);
        }
        waiting.forEach(Reader::run);
    }

    /**
     * Ends the stream.
     *
     * @param failure why the request failed, or null
     */
    void end(RuntimeException failure) {
        List<Reader> waiting;
        synchronized (this) {
            if (ended) {
                return;
            }
            ended = true;
            reason = failure;
            notifyAll();
            waiting = List.copyOf(readers);
        }
        waiting.forEach(Reader::run);
    }

    /** {@inheritDoc} */
    @Override
    public void subscribe(Flow.Subscriber<? super GeneratedToken> subscriber) {
        Reader reader = new Reader(subscriber);
        subscriber.onSubscribe(reader);
        synchronized (this) {
            readers.add(reader);
        }
        reader.run();
    }

    /** {@inheritDoc} */
    @Override
    public Iterator<GeneratedToken> iterator() {
        return new Iterator<>() {
            private int next;

            @Override
            public boolean hasNext() {
                synchronized (TokenStream.this) {
                    boolean interrupted = false;
                    while (next == tokens.size() && !ended) {
                        try {
                            TokenStream.this.wait();
                        } catch (InterruptedException e) {
                            interrupted = true;
                            break;
                        }
                    }
                    if (interrupted) {
                        Thread.currentThread().interrupt();
                        throw new IllegalStateException(
                                "The thread was interrupted while it waited for a token");
                    }
                    if (next == tokens.size() && reason != null) {
                        throw reason;
                    }
                    return next < tokens.size();
                }
            }

            @Override
            public GeneratedToken next() {
                if (!hasNext()) {
                    throw new NoSuchElementException("The text has " + next + " tokens");
                }
                synchronized (TokenStream.this) {
                    return tokens.get(next++);
                }
            }
        };
    }

    /** Gives one subscriber as many tokens as it asked for, one after the other. */
    private final class Reader implements Flow.Subscription, Runnable {

        private final Flow.Subscriber<? super GeneratedToken> subscriber;
        private int next;
        private long wanted;
        private boolean running;
        private boolean done;

        Reader(Flow.Subscriber<? super GeneratedToken> subscriber) {
            this.subscriber = subscriber;
        }

        /** {@inheritDoc} */
        @Override
        public void request(long n) {
            RuntimeException bad = null;
            synchronized (TokenStream.this) {
                if (n < 1) {
                    bad = new IllegalArgumentException("n is " + n + "; it must be 1 or more");
                    done = true;
                } else {
                    wanted = wanted + n < 0 ? Long.MAX_VALUE : wanted + n;
                }
            }
            if (bad == null) {
                run();
            } else {
                subscriber.onError(bad);
            }
        }

        /** {@inheritDoc} */
        @Override
        public void cancel() {
            synchronized (TokenStream.this) {
                done = true;
                readers.remove(this);
            }
        }

        /** {@inheritDoc} */
        @Override
        public void run() {
            synchronized (TokenStream.this) {
                if (running) {
                    // whoever is at it sees what there is now
                    return;
                }
                running = true;
            }
            while (true) {
                GeneratedToken token = null;
                RuntimeException failure;
                synchronized (TokenStream.this) {
                    boolean more = next < tokens.size();
                    if (done || more && wanted == 0 || !more && !ended) {
                        running = false;
                        return;
                    }
                    failure = reason;
                    if (more) {
                        token = tokens.get(next++);
                        --wanted;
                    } else {
                        done = true;
                        readers.remove(this);
                    }
                }
                if (!deliver(token, failure)) {
                    cancel();
                }
            }
        }

        /* What a subscriber throws is the end of its subscription (Reactive Streams, 2.13). */
        private boolean deliver(GeneratedToken token, RuntimeException failure) {
            try {
                if (token != null) {
                    subscriber.onNext(token);
                } else if (failure == null) {
                    subscriber.onComplete();
                } else {
                    subscriber.onError(failure);
                }
                return true;
            } catch (RuntimeException e) {
                logger.warn("A subscriber to a request's tokens failed", e);
                return false;
            }
        }
    }
}
