/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import java.util.LinkedHashMap;
import java.util.Map;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * A stack of adapters as {@code --stack NAME=ADAPTER:WEIGHT,...} names it.
 *
 * @param name the name by which input lines ask for it
 * @param parts the weight of each adapter, by its name
 */
record StackSource(String name, Map<String, Float> parts) {

    /** Reads {@code NAME=ADAPTER:WEIGHT,ADAPTER:WEIGHT}. */
    static final class Converter implements ITypeConverter<StackSource> {

        /** {@inheritDoc} */
        @Override
        public StackSource convert(String value) {
            int equals = value.indexOf('=');
            if (equals < 1) {
                throw invalid(value);
            }
            Map<String, Float> parts = new LinkedHashMap<>();
            for (String part : value.substring(equals + 1).split(",", -1)) {
                int colon = part.lastIndexOf(':');
                if (colon < 1) {
                    throw invalid(value);
                }
                if (parts.put(part.substring(0, colon), weight(part, colon, value)) != null) {
                    throw new TypeConversionException(
                            "\"" + value + "\" names " + part.substring(0, colon) + " twice");
                }
            }
            return new StackSource(value.substring(0, equals), parts);
        }

        private static Float weight(String part, int colon, String value) {
            try {
                return Float.valueOf(part.substring(colon + 1));
            } catch (NumberFormatException e) {
                throw invalid(value);
            }
        }

        private static TypeConversionException invalid(String value) {
            return new TypeConversionException(
                    "\"" + value + "\" is not of the form NAME=ADAPTER:WEIGHT,ADAPTER:WEIGHT");
        }
    }
}
