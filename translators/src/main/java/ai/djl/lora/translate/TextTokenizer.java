/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.engine.EngineException;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.sampling.ConstraintCompiler;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * Turns text into tokens and back as the {@code tokenizer.json} of a model's folder says.
 *
 * <p>DJL's tokenizer pads, and cuts texts to 512 tokens, unless it is told not to. Here a prompt is
 * never cut: one that is too long for the model is refused where the model's limit is known.
 */
public final class TextTokenizer implements AutoCloseable {

    private static final String FILE = "tokenizer.json";

    private final HuggingFaceTokenizer tokenizer;
    private final Path file;
    private final TokenPieces pieces;
    private TokenizerVocabulary vocabulary;
    private ConstraintCompiler constraints;

    private TextTokenizer(Path file, HuggingFaceTokenizer tokenizer, boolean byteFallback) {
        this.file = file;
        this.tokenizer = tokenizer;
        this.pieces = new TokenPieces(tokenizer, byteFallback);
    }

    /**
     * Opens the tokenizer of a model.
     *
     * @param folder the model's folder, which holds {@code tokenizer.json}
     * @param owner the manager that closes the tokenizer when it is closed itself; null if the
     *     caller does
     * @return the tokenizer
     * @throws LoraConfigurationException if the file is missing or is no tokenizer
     * @throws LoraBackendException if the tokenizers' native library cannot be loaded
     */
    public static TextTokenizer open(Path folder, NDManager owner) {
        Path file = folder.resolve(FILE);
        if (!Files.isRegularFile(file)) {
            throw new LoraConfigurationException(
                    file
                            + " is not there; a model that is given text needs a Hugging Face "
                            + FILE);
        }
        try {
            boolean byteFallback = TokenPieces.fallsBackToBytes(file);
            return new TextTokenizer(
                    file,
                    HuggingFaceTokenizer.builder()
                            .optTokenizerPath(file)
                            .optManager(owner)
                            .optAddSpecialTokens(true)
                            .optPadding(false)
                            .optTruncation(false)
                            .build(),
                    byteFallback);
        } catch (EngineException e) {
            throw new LoraBackendException(
                    "the tokenizers' native library cannot be loaded: " + firstLine(e), e);
        } catch (IOException e) {
            throw new LoraConfigurationException(file + " cannot be read: " + firstLine(e), e);
        } catch (RuntimeException e) {
            // What the native parser throws has no type of its own.
            throw new LoraConfigurationException(
                    file + " is not a Hugging Face tokenizer: " + firstLine(e), e);
        }
    }

    /**
     * Turns a text into tokens, with the special tokens that the tokenizer's post-processor adds.
     *
     * @param text the text
     * @return the token ids, as many as it takes
     * @throws LoraConfigurationException if the text holds half a surrogate pair, which is no
     *     character
     */
    public int[] encode(String text) {
        return encode(text, true);
    }

    /**
     * Turns a text into tokens. Special tokens that stand in the text are those tokens.
     *
     * @param text the text
     * @param addSpecialTokens whether to add the special tokens of the tokenizer's post-processor;
     *     the text of a chat template has its own
     * @return the token ids, as many as it takes
     * @throws LoraConfigurationException if the text holds half a surrogate pair, which is no
     *     character
     */
    public int[] encode(String text, boolean addSpecialTokens) {
        for (int i = 0; i < text.length(); ++i) {
            char c = text.charAt(i);
            boolean pair =
                    Character.isHighSurrogate(c)
                            && i + 1 < text.length()
                            && Character.isLowSurrogate(text.charAt(i + 1));
            if (pair) {
                ++i;
            } else if (Character.isSurrogate(c)) {
                throw new LoraConfigurationException(
                        "the text's character "
                                + i
                                + " is half a surrogate pair (0x"
                                + Integer.toHexString(c)
                                + "); text must be valid Unicode");
            }
        }
        long[] ids = tokenizer.encode(text, addSpecialTokens, false).getIds();
        return Arrays.stream(ids).mapToInt(Math::toIntExact).toArray();
    }

    /**
     * Turns tokens into text, without special tokens.
     *
     * @param tokens the token ids
     * @return the text
     */
    public String decode(int... tokens) {
        return tokenizer.decode(Arrays.stream(tokens).asLongStream().toArray(), true);
    }

    /**
     * Turns the tokens that continue a prompt into the text that continues the prompt's.
     *
     * <p>Tokens alone do not say whether a space belongs before the first word: decoders of the
     * SentencePiece kind drop the one at the start of a text. So the prompt's end is decoded along.
     * {@link StreamingDecoder}, which returns the same text token by token, says what happens to
     * characters that are not whole.
     *
     * @param prompt the prompt's token ids
     * @param tokens the token ids behind it
     * @return the text behind the prompt's text
     */
    public String decodeContinuation(int[] prompt, int[] tokens) {
        StreamingDecoder decoder = new StreamingDecoder(this, prompt);
        StringBuilder text = new StringBuilder();
        for (int token : tokens) {
            text.append(decoder.push(token));
        }
        return text.append(decoder.finish()).toString();
    }

    /**
     * Returns what compiles structured output for this tokenizer's vocabulary. The first call looks
     * at every token, which takes about a second for a vocabulary of 150,000.
     *
     * @return the compiler, the same each time
     * @throws LoraConfigurationException if the tokenizer's file cannot be read any more
     */
    public synchronized ConstraintCompiler constraints() {
        if (constraints == null) {
            constraints = new ConstraintCompiler(vocabulary());
        }
        return constraints;
    }

    /**
     * Returns what a token writes behind other text, which may be a part of a character. The first
     * call looks at every token, as that of {@link #constraints()} does.
     *
     * @param token the token id
     * @return its bytes; none for special tokens and ids that are no tokens
     * @throws LoraConfigurationException if the tokenizer's file cannot be read any more
     */
    public byte[] bytes(int token) {
        TokenizerVocabulary known = vocabulary();
        byte[] bytes = token >= 0 && token < known.size() ? known.bytes(token) : null;
        return bytes == null ? new byte[0] : bytes.clone();
    }

    private synchronized TokenizerVocabulary vocabulary() {
        if (vocabulary == null) {
            vocabulary = new TokenizerVocabulary(TokenNames.read(file), pieces);
        }
        return vocabulary;
    }

    TokenPieces pieces() {
        return pieces;
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        tokenizer.close();
    }

    private static String firstLine(Exception e) {
        return String.valueOf(e.getMessage()).lines().findFirst().orElse("");
    }
}
