/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import java.nio.file.Path;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * An adapter as {@code --adapter NAME=DIR} names it.
 *
 * @param name the name by which input lines ask for it
 * @param directory the adapter's folder
 */
record AdapterSource(String name, Path directory) {

    /** Reads {@code NAME=DIR}. */
    static final class Converter implements ITypeConverter<AdapterSource> {

        /** {@inheritDoc} */
        @Override
        public AdapterSource convert(String value) {
            int equals = value.indexOf('=');
            if (equals < 1 || equals == value.length() - 1) {
                throw new TypeConversionException("\"" + value + "\" is not of the form NAME=DIR");
            }
            return new AdapterSource(
                    value.substring(0, equals), Path.of(value.substring(equals + 1)));
        }
    }
}
