/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.tensor.ElementType;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads the name of a type that models compute in. */
public final class TypeConverter implements ITypeConverter<ElementType> {

    /** {@inheritDoc} */
    @Override
    public ElementType convert(String value) {
        try {
            return ElementType.ofLabel(value);
        } catch (LoraConfigurationException e) {
            throw new TypeConversionException(e.getMessage());
        }
    }
}
