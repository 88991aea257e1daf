/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertFalse;
import static org.testng.Assert.assertTrue;

import ai.djl.lora.safetensors.SafetensorsWriter;
import ai.djl.lora.tensor.ElementType;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class TensorScanTest {

    @DataProvider
    public Object[][] pieces() {
        return new Object[][] {
            {ElementType.FLOAT32, 1},
            {ElementType.FLOAT32, 3},
            {ElementType.FLOAT32, 64},
            {ElementType.FLOAT16, 1},
            {ElementType.FLOAT16, 7},
            {ElementType.BFLOAT16, 5},
            {ElementType.BFLOAT16, 64},
        };
    }

    private static TensorScan scan(ElementType type, int piece, byte... data) {
        TensorScan scan = new TensorScan(type);
        for (int at = 0; at < data.length; at += piece) {
            scan.add(ByteBuffer.wrap(data, at, Math.min(piece, data.length - at)));
        }
        return scan;
    }

    /** Pieces may end inside an element. */
    @Test(dataProvider = "pieces")
    public void looksAtEachElement(ElementType type, int piece) throws NoSuchAlgorithmException {
        float[] values = new float[12];
        values[5] = -0.0f;
        byte[] zeroes = SafetensorsWriter.tensor(type, 3, 4, values).data();
        TensorScan scan = scan(type, piece, zeroes);
        assertTrue(scan.isZero(), "the sign of a zero does not count");
        assertEquals(scan.notFinite(), -1);
        values[11] = 1;
        values[7] = Float.NEGATIVE_INFINITY;
        values[9] = Float.NaN;
        byte[] data = SafetensorsWriter.tensor(type, 3, 4, values).data();
        scan = scan(type, piece, data);
        assertFalse(scan.isZero());
        assertEquals(scan.notFinite(), 7);
        assertEquals(
                scan.finish(),
                HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data)));
        values[7] = 0;
        values[9] = 65504;
        scan = scan(type, piece, SafetensorsWriter.tensor(type, 3, 4, values).data());
        assertEquals(scan.notFinite(), -1);
        assertFalse(scan.isZero());
    }
}
