/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.server.http.Failures;
import ai.djl.lora.translate.TextChunk;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.Flow;
import java.util.function.Supplier;

/**
 * The pieces of a streamed response: what the tokens of all answers to a request add, in the order
 * in which they come. Of each answer one token is taken at a time and the next one asked for when
 * the client has taken its piece, so a slow client holds no more than that here. When the client
 * goes the answers end. For one subscriber.
 */
final class EventStream implements Flow.Publisher<byte[]> {

    private final Generation generation;
    private final AnswerFormat format;
    private final List<InputBegin> begins;
    private final String requestId;

    /** Pieces that wait for the client; each is written when it is taken. */
    private final Queue<Supplier<String>> pieces = new ArrayDeque<>();

    private final List<Answer> sources = new ArrayList<>();
    private Flow.Subscriber<? super byte[]> subscriber;
    private long wanted;
    private int open;
    private boolean draining;
    private boolean last;
    private boolean done;

    /**
     * Constructs a new {@code EventStream} instance.
     *
     * @param generation the answers
     * @param format writes them
     * @param begins who answers
     * @param requestId names the request in the log
     */
    EventStream(
            Generation generation, AnswerFormat format, List<InputBegin> begins, String requestId) {
        this.generation = generation;
        this.format = format;
        this.begins = begins;
        this.requestId = requestId;
    }

    /** {@inheritDoc} */
    @Override
    public void subscribe(Flow.Subscriber<? super byte[]> given) {
        synchronized (this) {
            if (subscriber != null) {
                throw new IllegalStateException("the stream has its subscriber");
            }
            subscriber = given;
            for (String piece : format.begin(begins)) {
                pieces.add(() -> piece);
            }
            for (int input = 0; input < begins.size(); ++input) {
                int answers = generation.answers().get(input).size();
                for (int choice = 0; choice < answers; ++choice) {
                    sources.add(new Answer(input, choice));
                }
            }
            open = sources.size();
        }
        given.onSubscribe(
                new Flow.Subscription() {
                    @Override
                    public void request(long n) {
                        ask(n);
                    }

                    @Override
                    public void cancel() {
                        abandon();
                    }
                });
        for (Answer source : sources) {
            generation.answers().get(source.input).chunks(source.choice).subscribe(source);
        }
        drain();
    }

    private void ask(long n) {
        synchronized (this) {
            wanted = wanted + n < 0 ? Long.MAX_VALUE : wanted + n;
        }
        drain();
    }

    private void abandon() {
        synchronized (this) {
            done = true;
            pieces.clear();
        }
        generation.cancel();
    }

    private void add(Supplier<String> piece) {
        synchronized (this) {
            pieces.add(piece);
        }
        drain();
    }

    /** Takes the end of one answer; with the last of them comes what follows all text. */
    private void ended() {
        synchronized (this) {
            if (--open > 0) {
                return;
            }
        }
        generation
                .end()
                .whenComplete(
                        (answers, failure) -> {
                            synchronized (this) {
                                if (failure == null) {
                                    // written when it is taken: behind what waits before it
                                    pieces.add(() -> String.join("", format.end(answers)));
                                } else {
                                    pieces.add(
                                            () -> format.failure(Failures.of(requestId, failure)));
                                }
                                last = true;
                            }
                            drain();
                        });
    }

    /** Hands out what there is and is wanted; one thread at a time. */
    private void drain() {
        while (true) {
            Supplier<String> next;
            synchronized (this) {
                if (draining || done) {
                    return;
                }
                next = pieces.isEmpty() || wanted == 0 ? null : pieces.poll();
                if (next == null && !(pieces.isEmpty() && last)) {
                    return;
                }
                draining = true;
                done = next == null;
            }
            // text is written by one thread at a time, in the order of the pieces
            String text = next == null ? "" : next.get();
            Flow.Subscriber<? super byte[]> taker;
            boolean more;
            synchronized (this) {
                taker = subscriber;
                more = !text.isEmpty() && !done;
                wanted -= more && wanted != Long.MAX_VALUE ? 1 : 0;
            }
            if (more) {
                taker.onNext(text.getBytes(StandardCharsets.UTF_8));
            } else if (next == null) {
                taker.onComplete();
            }
            synchronized (this) {
                draining = false;
            }
        }
    }

    /** One of the answers. */
    private final class Answer implements Flow.Subscriber<TextChunk> {

        private final int input;
        private final int choice;
        private Flow.Subscription subscription;

        Answer(int input, int choice) {
            this.input = input;
            this.choice = choice;
        }

        /** {@inheritDoc} */
        @Override
        public void onSubscribe(Flow.Subscription given) {
            subscription = given;
            given.request(1);
        }

        /** {@inheritDoc} */
        @Override
        public void onNext(TextChunk chunk) {
            add(
                    () -> {
                        String piece = format.chunk(input, choice, chunk);
                        subscription.request(1);
                        return piece;
                    });
        }

        /** {@inheritDoc} */
        @Override
        public void onError(Throwable failure) {
            ended();
        }

        /** {@inheritDoc} */
        @Override
        public void onComplete() {
            ended();
        }
    }
}
