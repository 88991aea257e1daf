/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

/** Tells archives by what they begin with, and takes their files out. */
enum Archives {
    /** A zip archive. */
    ZIP,
    /** A tar archive. */
    TAR,
    /** A tar archive, compressed by gzip. */
    TAR_GZ,
    /** Something else. */
    NONE;

    private static final int HEADER = 512;

    /** Returns what a file begins with. */
    static Archives of(DataChannel file) {
        byte[] start = file.read(0, Math.min(HEADER, file.size()));
        if (begins(start, 'P', 'K', 3, 4) || begins(start, 'P', 'K', 5, 6)) {
            return ZIP;
        }
        if (begins(start, 0x1f, 0x8b)) {
            return TAR_GZ;
        }
        return TarExtraction.isHeader(start) ? TAR : NONE;
    }

    /**
     * Takes the files out of an archive of this kind.
     *
     * @param archive the archive
     * @param limits how much may come out of it
     * @param sink where the files go
     */
    void extract(DataChannel archive, FormatLimits limits, ArchiveSink sink) {
        switch (this) {
            case ZIP -> ZipExtraction.extract(archive, limits, sink);
            case TAR -> TarExtraction.extract(archive, false, limits, sink);
            case TAR_GZ -> TarExtraction.extract(archive, true, limits, sink);
            default -> throw archive.fail("expected an archive, found something else");
        }
    }

    private static boolean begins(byte[] start, int... bytes) {
        for (int i = 0; i < bytes.length; i++) {
            if (i >= start.length || (start[i] & 0xff) != bytes[i]) {
                return false;
            }
        }
        return true;
    }
}
