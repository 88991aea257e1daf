/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.lora.tensor.ElementType;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads the name of a type that models compute in. */
final class TypeConverter implements ITypeConverter<ElementType> {

    /** {@inheritDoc} */
    @Override
    public ElementType convert(String value) {
        for (ElementType type : new ElementType[] {ElementType.FLOAT32, ElementType.BFLOAT16}) {
            if (type.label().equals(value)) {
                return type;
            }
        }
        throw new TypeConversionException("\"" + value + "\" is neither float32 nor bfloat16");
    }
}
