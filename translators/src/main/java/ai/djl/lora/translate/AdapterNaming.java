/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.modality.Input;
import ai.djl.ndarray.BytesSupplier;
import ai.djl.util.Pair;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.BiPredicate;

/**
 * Finds out which adapters a serving {@code Input} names.
 *
 * <p>It may name them in its property {@code adapter}, in SageMaker's headers, which DJL Serving
 * hands on as properties, in a content {@code adapter}, which is what DJL Serving makes of {@code
 * ?adapter=}, and in the fields {@code adapter} and {@code adapters} of a JSON body. Where several
 * of them do they must agree.
 */
final class AdapterNaming {

    /** The header by which SageMaker names the adapter. */
    static final String IDENTIFIER = "X-Amzn-SageMaker-Adapter-Identifier";

    /** The header by which SageMaker gives the name that its user gave the adapter. */
    static final String ALIAS = "X-Amzn-SageMaker-Adapter-Alias";

    /** For inputs whose names are taken literally. */
    static final AdapterNaming LITERAL = new AdapterNaming(String::equals);

    private static final String ADAPTER = "adapter";
    private static final String ADAPTERS = "adapters";

    private final BiPredicate<String, String> same;

    private AdapterNaming(BiPredicate<String, String> same) {
        this.same = same;
    }

    /**
     * Returns a naming that knows which names stand for the same adapter.
     *
     * @param store the model's adapters
     * @return the naming
     */
    static AdapterNaming of(AdapterStore store) {
        return new AdapterNaming(
                (one, other) -> one.equals(other) || parts(store, one).equals(parts(store, other)));
    }

    private static List<String> parts(AdapterStore store, String name) {
        try {
            return store.partsOf(name);
        } catch (LoraException e) {
            // an unknown name is the same as no other
            return List.of("", name);
        }
    }

    /** Names of adapters, and where they were found: one for all inputs, or one for each. */
    private record Named(String place, List<String> names) {}

    /**
     * Returns the adapter of each of an input's texts.
     *
     * @param input the input
     * @param body its JSON body; null where it has none
     * @param texts the number of texts
     * @return one name for each text, "" for the base model
     * @throws LoraConfigurationException if two places name different adapters, or a list has
     *     another length
     */
    List<String> adapters(Input input, JsonObject body, int texts) {
        List<Named> all = new ArrayList<>();
        for (String property : List.of(ADAPTER, IDENTIFIER, ALIAS)) {
            String name = input.getProperty(property, null);
            if (name != null) {
                String place = property.equals(ADAPTER) ? "the property " : "the header ";
                all.add(new Named(place + property, Collections.nCopies(texts, name)));
            }
        }
        for (Pair<String, BytesSupplier> content : input.getContent()) {
            if (ADAPTER.equals(content.getKey())) {
                String name = content.getValue().getAsString();
                all.add(new Named("the parameter " + ADAPTER, Collections.nCopies(texts, name)));
            }
        }
        if (body != null) {
            for (String field : List.of(ADAPTER, ADAPTERS)) {
                if (body.has(field)) {
                    all.add(new Named(field, inBody(body, field, texts)));
                }
            }
        }
        if (all.isEmpty()) {
            return Collections.nCopies(texts, "");
        }
        Named first = all.get(0);
        for (Named other : all) {
            requireSame(first, other);
        }
        return first.names();
    }

    private static List<String> inBody(JsonObject body, String field, int texts) {
        List<String> named = JsonFields.texts(body.get(field), field);
        if (!body.get(field).isJsonArray()) {
            return Collections.nCopies(texts, named.get(0));
        }
        if (named.size() != texts) {
            throw new LoraConfigurationException(
                    field
                            + " has "
                            + named.size()
                            + " names for "
                            + texts
                            + " inputs; one for each is needed, or one name for all");
        }
        return named;
    }

    private void requireSame(Named first, Named other) {
        for (int i = 0; i < first.names().size(); ++i) {
            if (!same.test(first.names().get(i), other.names().get(i))) {
                throw new LoraConfigurationException(
                        first.place()
                                + " names "
                                + first.names()
                                + " and "
                                + other.place()
                                + " names "
                                + other.names()
                                + "; they must agree");
            }
        }
    }
}
