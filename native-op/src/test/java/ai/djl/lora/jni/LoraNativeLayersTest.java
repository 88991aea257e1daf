/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jni;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** The layers of a transformer against NDArray, in the types that models come in. */
public class LoraNativeLayersTest extends NativeTestBase {

    /** The types, with the error of one rounding (half the distance to the next number). */
    @DataProvider
    public Object[][] types() {
        return new Object[][] {
            {LoraNative.FLOAT32, 0x1p-20},
            {LoraNative.FLOAT16, 0x1p-10},
            {LoraNative.BFLOAT16, 0x1p-7}
        };
    }

    /** A random array as it is after rounding to the type, in float32. */
    private NDArray exact(int type, long... shape) {
        return rounded(random(shape), type);
    }

    @Test(dataProvider = "types")
    public void multipliesAsALinearLayer(int type, double tolerance) {
        NDArray x = exact(type, 2, 5, 24);
        NDArray weight = exact(type, 7, 24);
        NDArray bias = exact(type, 7);
        long typedX = handle(toType(x, type));
        long typedWeight = handle(toType(weight, type));
        NDArray product = x.reshape(10, 24).matMul(weight.transpose()).reshape(2, 5, 7);
        NDArray without = array(LoraNative.linear(typedX, typedWeight, 0));
        Assert.assertEquals(LoraNative.elementType(handle(without)), type);
        assertClose(widen(without), product, tolerance);
        NDArray with = array(LoraNative.linear(typedX, typedWeight, handle(toType(bias, type))));
        assertClose(widen(with), product.add(bias), tolerance);
    }

    @Test
    public void linearRefusesWhatDoesNotFit() {
        long x = handle(random(2, 4));
        long weight = handle(random(3, 4));
        assertRefused("x is missing", () -> LoraNative.linear(0, weight, 0));
        assertRefused("weight is missing", () -> LoraNative.linear(x, 0, 0));
        assertRefused(
                "x is float32 [2, 4] and weight is float32 [3, 5]",
                () -> LoraNative.linear(x, handle(random(3, 5)), 0));
        assertRefused(
                "weight is float32 [3], but it must have 2 dimensions",
                () -> LoraNative.linear(x, handle(random(3)), 0));
        assertRefused(
                "weight is bfloat16 [3, 4], but its type must be float32",
                () -> LoraNative.linear(x, handle(toType(random(3, 4), 2)), 0));
        assertRefused(
                "x is int64 [4], but its type must be float32, float16 or bfloat16",
                () -> LoraNative.linear(handle(manager.create(new long[4])), weight, 0));
        assertRefused(
                "bias is float32 [4], but weight float32 [3, 4] takes [3]",
                () -> LoraNative.linear(x, weight, handle(random(4))));
        assertRefused(
                "and weight is", () -> LoraNative.linear(handle(manager.create(1f)), weight, 0));
    }

    @Test(dataProvider = "types")
    public void looksUpRows(int type, double tolerance) {
        NDArray weight = exact(type, 9, 4);
        NDArray ids = manager.create(new long[] {8, 0, 3, 3}, new Shape(2, 2));
        NDArray rows = array(LoraNative.embedding(handle(toType(weight, type)), handle(ids)));
        Assert.assertEquals(rows.getShape(), new Shape(2, 2, 4));
        Assert.assertEquals(
                widen(rows).reshape(4, 4), weight.get(new NDIndex("{}", ids.flatten())));
        assertRefused(
                "id 9 at index 1 is not a row of weight",
                () ->
                        LoraNative.embedding(
                                handle(weight), handle(manager.create(new long[] {0, 9}))));
        assertRefused(
                "id -1 at index 0",
                () ->
                        LoraNative.embedding(
                                handle(weight), handle(manager.create(new long[] {-1}))));
        assertRefused(
                "ids is int32 [1], but its type must be int64",
                () -> LoraNative.embedding(handle(weight), handle(manager.create(new int[] {1}))));
        assertRefused(
                "weight is float32 [4]",
                () -> LoraNative.embedding(handle(random(4)), handle(ids)));
    }

    @Test(dataProvider = "types")
    public void computesSiluMul(int type, double tolerance) {
        NDArray x = exact(type, 3, 17);
        NDArray up = exact(type, 3, 17);
        NDArray result =
                array(LoraNative.siluMul(handle(toType(x, type)), handle(toType(up, type))));
        NDArray silu = rounded(x.mul(x.neg().exp().add(1).pow(-1)), type);
        // a value of silu that lies almost halfway may round the other way: two roundings
        assertClose(widen(result), silu.mul(up), 2 * tolerance);
        NDArray flags = manager.create(new boolean[] {true});
        assertRefused("gate is bool", () -> LoraNative.siluMul(handle(flags), handle(flags)));
        assertRefused(
                "up is float32 [2] and gate is float32 [3]",
                () -> LoraNative.siluMul(handle(random(3)), handle(random(2))));
    }

    @Test(dataProvider = "types")
    public void normalises(int type, double tolerance) {
        NDArray x = exact(type, 2, 3, 33);
        NDArray weight = exact(type, 33);
        NDArray result =
                array(
                        LoraNative.rmsNorm(
                                handle(toType(x, type)), 0, handle(toType(weight, type)), 1e-5));
        NDArray factor = x.square().mean(new int[] {2}, true).add(1e-5).sqrt();
        NDArray expected = rounded(rounded(x.div(factor), type).mul(weight), type);
        // a normalised value that lies almost halfway may round the other way: two roundings
        assertClose(widen(result), expected, 2 * tolerance);
        Assert.assertEquals(
                array(
                                LoraNative.rmsNorm(
                                        handle(manager.zeros(new Shape(0, 33))),
                                        0,
                                        handle(random(33)),
                                        0))
                        .getShape(),
                new Shape(0, 33));

        long good = handle(random(2, 3));
        assertRefused("x is float32 [3]", () -> LoraNative.rmsNorm(handle(random(3)), 0, good, 0));
        assertRefused(
                "weight is float32 [4], but x float32 [2, 3] takes [3]",
                () -> LoraNative.rmsNorm(good, 0, handle(random(4)), 0));
        assertRefused(
                "must be contiguous",
                () ->
                        LoraNative.rmsNorm(
                                handle(random(3, 2).transpose()), 0, handle(random(3)), 0));
        assertRefused("eps is -1", () -> LoraNative.rmsNorm(good, 0, handle(random(3)), -1));
        assertRefused(
                "eps is nan", () -> LoraNative.rmsNorm(good, 0, handle(random(3)), Double.NaN));
        assertRefused(
                "delta is float32 [3, 3] and x is float32 [2, 3]",
                () -> LoraNative.rmsNorm(good, handle(random(3, 3)), handle(random(3)), 0));
    }

    @Test(dataProvider = "types")
    public void turnsByPosition(int type, double tolerance) {
        NDArray x = exact(type, 4, 3, 8);
        NDArray angles = random(4, 4);
        NDArray cos = angles.cos();
        NDArray sin = angles.sin();
        NDArray first = x.get(":, :, 0:4");
        NDArray second = x.get(":, :, 4:");
        NDArray c = cos.expandDims(1);
        NDArray s = sin.expandDims(1);
        NDArray expected =
                first.mul(c).sub(second.mul(s)).concat(second.mul(c).add(first.mul(s)), 2);
        NDArray typed = toType(x, type);
        LoraNative.rotary(handle(typed), handle(cos), handle(sin));
        assertClose(widen(typed), expected, tolerance);

        // heads that lie before tokens
        NDArray turned = toType(x.transpose(1, 0, 2), type);
        LoraNative.rotary(handle(turned.transpose(1, 0, 2)), handle(cos), handle(sin));
        Assert.assertEquals(widen(turned).transpose(1, 0, 2), widen(typed));
    }

    @Test
    public void rotaryRefusesWhatDoesNotFit() {
        NDArray x = random(4, 3, 8);
        NDArray good = random(4, 4);
        assertRefused(
                "cos is float32 [4, 3], but x float32 [4, 3, 8] takes [4, 4]",
                () -> LoraNative.rotary(handle(x), handle(random(4, 3)), handle(good)));
        assertRefused(
                "sin is float64",
                () ->
                        LoraNative.rotary(
                                handle(x),
                                handle(good),
                                handle(good.toType(DataType.FLOAT64, true))));
        assertRefused(
                "last dimension must be even",
                () -> LoraNative.rotary(handle(random(4, 3, 7)), handle(good), handle(good)));
        assertRefused(
                "x is float32 [4, 8]",
                () -> LoraNative.rotary(handle(random(4, 8)), handle(good), handle(good)));
        assertRefused(
                "its last dimension must be contiguous",
                () ->
                        LoraNative.rotary(
                                handle(random(8, 3, 4).transpose()), handle(good), handle(good)));
        assertRefused(
                "its rows must not overlap",
                () ->
                        LoraNative.rotary(
                                handle(random(4, 1, 8).broadcast(4, 3, 8)),
                                handle(good),
                                handle(good)));
        assertRefused("cos is missing", () -> LoraNative.rotary(handle(x), 0, handle(good)));
    }

    @DataProvider
    public Object[][] attentions() {
        // type, tolerance, tokens of q and of k, heads of q and of k, kind of mask
        return new Object[][] {
            {LoraNative.FLOAT32, 1e-5, 6, 6, 4, 4, "causal"},
            {LoraNative.FLOAT32, 1e-5, 6, 6, 6, 2, "causal"},
            {LoraNative.FLOAT32, 1e-5, 1, 9, 6, 2, "none"},
            {LoraNative.FLOAT32, 1e-5, 3, 9, 6, 3, "mask"},
            {LoraNative.FLOAT32, 1e-5, 70, 70, 8, 1, "causal"},
            {LoraNative.BFLOAT16, 2e-2, 7, 7, 4, 2, "causal"},
            {LoraNative.BFLOAT16, 2e-2, 1, 40, 14, 2, "none"},
            {LoraNative.BFLOAT16, 2e-2, 5, 9, 4, 2, "mask"},
            {LoraNative.FLOAT16, 4e-3, 7, 7, 4, 2, "causal"},
        };
    }

    @Test(dataProvider = "attentions")
    public void attends(
            int type, double tolerance, int tokens, int keys, int heads, int kvHeads, String kind) {
        int dim = 16;
        double scale = 0.3;
        NDArray q = exact(type, tokens, heads, dim);
        NDArray k = exact(type, keys, kvHeads, dim);
        NDArray v = exact(type, keys, kvHeads, dim);
        NDArray mask = null;
        if (!"none".equals(kind)) {
            NDArray row = manager.arange(tokens).expandDims(1).add(keys - tokens);
            mask = manager.arange(keys).expandDims(0).lte(row);
        }
        boolean causal = "causal".equals(kind);
        NDList perHead = new NDList();
        for (int h = 0; h < heads; ++h) {
            int kv = h / (heads / kvHeads);
            NDArray scores = q.get(":, {}", h).matMul(k.get(":, {}", kv).transpose()).mul(scale);
            if (mask != null) {
                scores = NDArrays.where(mask, scores, manager.full(scores.getShape(), -1e9f));
            }
            perHead.add(scores.softmax(1).matMul(v.get(":, {}", kv)));
        }
        NDArray expected = NDArrays.stack(perHead, 1);
        NDArray result =
                array(
                        LoraNative.attention(
                                handle(toType(q, type)),
                                handle(toType(k, type)),
                                handle(toType(v, type)),
                                causal ? 0 : handle(mask),
                                causal,
                                scale));
        Assert.assertEquals(LoraNative.elementType(handle(result)), type);
        assertClose(widen(result), expected, tolerance);
        LoraNative.copyToBytes(handle(result), 0, new byte[2], 0, 2); // contiguous

        // views of a fused [tokens, heads + 2 kvHeads, dim], and keys that begin within a cache
        NDArray cache = array(LoraNative.zeros(type, new long[] {keys + 3, kvHeads, dim}));
        LoraNative.copyRows(handle(cache), 2, handle(toType(k, type)));
        NDArray inCache = array(LoraNative.narrowRows(handle(cache), 2, 2 + keys));
        NDArray wide = toType(q.concat(q, 2), type);
        NDArray same =
                array(
                        LoraNative.attention(
                                handle(wide.get(":, :, 0:16")),
                                handle(inCache),
                                handle(toType(v.transpose(1, 0, 2), type).transpose(1, 0, 2)),
                                causal ? 0 : handle(mask),
                                causal,
                                scale));
        assertClose(widen(same), expected, tolerance);
    }

    @Test
    public void attentionRefusesWhatDoesNotFit() {
        long q = handle(random(2, 4, 8));
        long k = handle(random(3, 2, 8));
        NDArray mask = manager.ones(new Shape(2, 3), DataType.BOOLEAN);
        array(LoraNative.attention(q, k, k, handle(mask), false, 1.0));
        Assert.assertEquals(
                array(
                                LoraNative.attention(
                                        handle(manager.zeros(new Shape(0, 4, 8))),
                                        k,
                                        k,
                                        0,
                                        false,
                                        1.0))
                        .getShape(),
                new Shape(0, 4, 8));
        assertRefused(
                "causal needs as many rows in q as in k",
                () -> LoraNative.attention(q, k, k, 0, true, 1.0));
        assertRefused(
                "only one of them is allowed",
                () -> LoraNative.attention(k, k, k, handle(mask), true, 1.0));
        assertRefused(
                "q's heads must be a multiple of k's",
                () -> LoraNative.attention(handle(random(2, 3, 8)), k, k, 0, false, 1.0));
        assertRefused(
                "k and v must have the same shape",
                () -> LoraNative.attention(q, k, handle(random(4, 2, 8)), 0, false, 1.0));
        assertRefused(
                "neither k nor a head may be empty",
                () -> {
                    long none = handle(manager.zeros(new Shape(0, 2, 8)));
                    LoraNative.attention(q, none, none, 0, false, 1.0);
                });
        assertRefused(
                "mask is bool [3, 2], but q float32 [2, 4, 8] and k float32 [3, 2, 8] take [2, 3]",
                () -> LoraNative.attention(q, k, k, handle(mask.transpose()), false, 1.0));
        assertRefused(
                "mask is float32",
                () -> LoraNative.attention(q, k, k, handle(random(2, 3)), false, 1.0));
        assertRefused(
                "scale is inf",
                () -> LoraNative.attention(q, k, k, 0, false, Double.POSITIVE_INFINITY));
        assertRefused("v is missing", () -> LoraNative.attention(q, k, 0, 0, false, 1.0));
        assertRefused(
                "k is bfloat16",
                () ->
                        LoraNative.attention(
                                q, handle(toType(random(3, 2, 8), 2)), k, 0, false, 1.0));
    }
}
