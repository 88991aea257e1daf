/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.json;

import ai.djl.lora.LoraConfigurationException;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import com.google.gson.Strictness;
import com.google.gson.internal.LazilyParsedNumber;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import com.google.gson.stream.MalformedJsonException;
import java.io.EOFException;
import java.io.IOException;
import java.io.StringReader;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/**
 * Reads JSON objects and refuses what other readers let pass: a name that occurs twice (readers
 * differ in which value wins), text behind the object, comments, unquoted names, NaN, bytes that
 * are not UTF-8.
 */
public final class StrictJson {

    /** How deep a document may nest; what this project reads nests three or four deep. */
    private static final int MAX_DEPTH = 64;

    /** A complaint ends with names of the document, which may be as long as they like. */
    private static final int MAX_COMPLAINT = 300;

    private StrictJson() {}

    /**
     * Reads a file that holds one JSON object.
     *
     * @param file the file
     * @param maxBytes how large the file may be
     * @return the object
     * @throws LoraConfigurationException if the file is missing, too large or not one strict JSON
     *     object
     */
    public static JsonObject readObject(Path file, int maxBytes) {
        String name = Message.oneLine(file.toString());
        try (SeekableByteChannel channel = Files.newByteChannel(file)) {
            long size = channel.size();
            if (size > maxBytes) {
                throw new LoraConfigurationException(
                        name + ": the file has " + size + " bytes, allowed are " + maxBytes);
            }
            ByteBuffer data = ByteBuffer.allocate((int) size);
            while (data.hasRemaining() && channel.read(data) >= 0) {
                continue;
            }
            return parseObject(decode(data.flip()), name);
        } catch (NoSuchFileException e) {
            throw new LoraConfigurationException(name + ": there is no such file", e);
        } catch (CharacterCodingException e) {
            throw new LoraConfigurationException(name + ": the file is not UTF-8", e);
        } catch (IOException e) {
            throw new LoraConfigurationException(
                    name + ": cannot be read: " + Message.oneLine(e.toString()), e);
        }
    }

    /**
     * Reads text that holds one JSON object.
     *
     * @param text the text
     * @param source what the text is, for messages
     * @return the object
     * @throws LoraConfigurationException if the text is not one strict JSON object
     */
    public static JsonObject parseObject(String text, String source) {
        try (JsonReader reader = newReader(text)) {
            if (reader.peek() != JsonToken.BEGIN_OBJECT) {
                throw new LoraConfigurationException(
                        source + ": expected a JSON object, found " + describe(reader.peek()));
            }
            JsonObject object = readObject(reader, source, "", 1);
            if (reader.peek() != JsonToken.END_DOCUMENT) {
                throw new LoraConfigurationException(source + ": text follows the JSON object");
            }
            return object;
        } catch (EOFException e) {
            throw new LoraConfigurationException(source + ": the JSON ends too early", e);
        } catch (MalformedJsonException e) {
            throw new LoraConfigurationException(
                    source + ": not JSON: " + Message.oneLine(firstLine(e)), e);
        } catch (IOException e) {
            throw new LoraConfigurationException(
                    source + ": cannot be read: " + Message.oneLine(e.toString()), e);
        }
    }

    /**
     * Returns a reader that accepts RFC 8259 alone.
     *
     * @param text the JSON text
     * @return the reader
     */
    public static JsonReader newReader(String text) {
        JsonReader reader = new JsonReader(new StringReader(text));
        reader.setStrictness(Strictness.STRICT);
        return reader;
    }

    /**
     * Decodes UTF-8 and refuses anything else.
     *
     * @param data the bytes
     * @return the text
     * @throws CharacterCodingException if the bytes are not UTF-8
     */
    public static String decode(ByteBuffer data) throws CharacterCodingException {
        return StandardCharsets.UTF_8.newDecoder().decode(data).toString();
    }

    /**
     * Returns what a token is in words.
     *
     * @param token the token
     * @return the words, such as {@code an array}
     */
    public static String describe(JsonToken token) {
        return switch (token) {
            case BEGIN_OBJECT -> "an object";
            case BEGIN_ARRAY -> "an array";
            case STRING -> "a string";
            case NUMBER -> "a number";
            case BOOLEAN -> "a boolean";
            case NULL -> "null";
            case NAME -> "a name";
            case END_ARRAY, END_OBJECT, END_DOCUMENT -> "the end";
        };
    }

    /**
     * Returns the first line of a JSON reader's complaint, without its advice to relax the checks.
     *
     * @param failure what the reader threw
     * @return the line
     */
    public static String firstLine(IOException failure) {
        String message = String.valueOf(failure.getMessage());
        String line = message.lines().findFirst().orElse("");
        if (line.length() > MAX_COMPLAINT) {
            line = line.substring(0, MAX_COMPLAINT) + "...";
        }
        // at the start alone: further on, a line may hold a name of the document
        return line.startsWith("Use JsonReader.setStrictness(Strictness.LENIENT)")
                ? "malformed" + line.substring(line.indexOf(" at "))
                : line;
    }

    private static JsonObject readObject(JsonReader reader, String source, String path, int depth)
            throws IOException {
        checkDepth(source, depth);
        JsonObject object = new JsonObject();
        reader.beginObject();
        while (reader.hasNext()) {
            String name = reader.nextName();
            String inner = path.isEmpty() ? name : path + '.' + name;
            if (object.has(name)) {
                throw new LoraConfigurationException(
                        source + ": the name " + Message.quote(inner) + " occurs twice");
            }
            object.add(name, readElement(reader, source, inner, depth));
        }
        reader.endObject();
        return object;
    }

    private static JsonElement readElement(JsonReader reader, String source, String path, int depth)
            throws IOException {
        JsonToken token = reader.peek();
        switch (token) {
            case BEGIN_OBJECT:
                return readObject(reader, source, path, depth + 1);
            case BEGIN_ARRAY:
                checkDepth(source, depth + 1);
                JsonArray array = new JsonArray();
                reader.beginArray();
                while (reader.hasNext()) {
                    array.add(readElement(reader, source, path, depth + 1));
                }
                reader.endArray();
                return array;
            case STRING:
                return new JsonPrimitive(reader.nextString());
            case NUMBER:
                // as it is written: whether 8.0 is a whole number is for the caller to say
                return new JsonPrimitive(new LazilyParsedNumber(reader.nextString()));
            case BOOLEAN:
                return new JsonPrimitive(reader.nextBoolean());
            case NULL:
                reader.nextNull();
                return JsonNull.INSTANCE;
            default:
                throw new LoraConfigurationException(
                        source + ": expected a value, found " + describe(token));
        }
    }

    private static void checkDepth(String source, int depth) {
        if (depth > MAX_DEPTH) {
            throw new LoraConfigurationException(
                    source + ": the JSON nests deeper than " + MAX_DEPTH + " levels");
        }
    }
}
