/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.generate.sampling.SamplingParameters;
import java.math.BigDecimal;
import java.util.List;
import java.util.Optional;

/**
 * Reads how tokens are chosen in bodies of TGI's and DJL Serving's kind: from the object {@code
 * parameters}, or, where there is none, from the body itself.
 *
 * @param fields where the parameters are given
 * @param sampling the parameters
 * @param nested whether they have an object of their own
 */
record Parameters(BodyFields fields, SamplingParameters sampling, boolean nested) {

    /**
     * Reads the parameters of a body.
     *
     * @param body the body
     * @param defaults what holds where nothing is given
     * @return the parameters
     */
    static Parameters read(BodyFields body, SamplingParameters defaults) {
        Optional<BodyFields> object = body.object("parameters");
        BodyFields fields = object.orElse(body);
        SamplingParameters sampling = withChance(fields, SamplingReader.read(fields, defaults));
        if (object.isPresent()) {
            sampling = SamplingReader.beside(body, sampling);
        }
        return new Parameters(fields, sampling, object.isPresent());
    }

    /** Reads {@code do_sample}, which must agree with the temperature where both are given. */
    private static SamplingParameters withChance(BodyFields fields, SamplingParameters sampling) {
        if (!fields.has("do_sample")) {
            return sampling;
        }
        boolean chance = fields.flag("do_sample", false);
        Optional<BigDecimal> temperature = fields.number("temperature");
        if (temperature.isPresent() && temperature.get().signum() > 0 != chance) {
            throw fields.wrong(
                    "do_sample",
                    "is "
                            + chance
                            + " and temperature is "
                            + temperature.get()
                            + "; a temperature of 0 chooses without chance, one above 0 with it");
        }
        if (temperature.isPresent() || sampling.temperature() > 0 == chance) {
            return sampling;
        }
        return sampling.toBuilder().temperature(chance ? 1 : 0).build();
    }

    /** Returns the objects beside the body in which an adapter may be named. */
    List<BodyFields> further() {
        return nested ? List.of(fields) : List.of();
    }
}
