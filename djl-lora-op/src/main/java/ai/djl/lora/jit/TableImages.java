/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jit;

import ai.djl.lora.jni.DeviceImages;
import java.util.List;
import java.util.Optional;

/** What {@link DeviceImages} does for a table on a GPU. */
interface TableImages {

    Optional<String> obstacle(long table);

    void use(long table, byte[] image, long inFeatures);

    void drop(long table, long inFeatures);

    Times times(long table, List<Integer> modules, int segments, int rank);

    /** Microseconds with the library's kernels and with those of an image. */
    record Times(double library, double image) {}

    /** The native library's. */
    final class OfLibrary implements TableImages {

        /** {@inheritDoc} */
        @Override
        public Optional<String> obstacle(long table) {
            return Optional.ofNullable(DeviceImages.obstacle(table));
        }

        /** {@inheritDoc} */
        @Override
        public void use(long table, byte[] image, long inFeatures) {
            DeviceImages.use(table, image, inFeatures);
        }

        /** {@inheritDoc} */
        @Override
        public void drop(long table, long inFeatures) {
            DeviceImages.drop(table, inFeatures);
        }

        /** {@inheritDoc} */
        @Override
        public Times times(long table, List<Integer> modules, int segments, int rank) {
            int[] numbers = modules.stream().mapToInt(Integer::intValue).toArray();
            double[] times = DeviceImages.times(table, numbers, segments, rank);
            return new Times(times[0], times[1]);
        }
    }
}
