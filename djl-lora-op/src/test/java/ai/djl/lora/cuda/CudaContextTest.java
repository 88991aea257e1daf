/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cuda;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraBackendException;
import java.io.IOException;
import java.io.InputStream;
import java.util.Optional;
import org.testng.SkipException;
import org.testng.annotations.Test;

public class CudaContextTest {

    @Test
    public void withoutADriverTheReasonIsTold() {
        String reason =
                CudaContext.unavailable()
                        .orElseThrow(() -> new SkipException("this machine has a GPU"));
        assertTrue(reason.contains("NVIDIA driver") || reason.contains("cuInit"), reason);
        assertEquals(
                expectThrows(LoraBackendException.class, () -> CudaContext.open(0)).getMessage(),
                "CUDA cannot be used: " + reason);
    }

    @Test
    public void withoutJcudaTheReasonIsTold() throws ReflectiveOperationException {
        Class<?> context =
                new WithoutJcuda(CudaContext.class.getClassLoader())
                        .loadClass(CudaContext.class.getName());
        assertEquals(
                context.getMethod("unavailable").invoke(null),
                Optional.of(
                        "JCuda is not on the class path; add org.jcuda:jcuda and"
                                + " org.jcuda:jcuda-natives 12.6.0"));
    }

    /** Has this package's classes, and what they need but JCuda. */
    private static final class WithoutJcuda extends ClassLoader {

        WithoutJcuda(ClassLoader parent) {
            super(parent);
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            if (name.startsWith("jcuda.")) {
                throw new ClassNotFoundException(name);
            }
            if (!name.startsWith("ai.djl.lora.cuda.")) {
                return super.loadClass(name, resolve);
            }
            synchronized (getClassLoadingLock(name)) {
                Class<?> loaded = findLoadedClass(name);
                return loaded == null ? define(name) : loaded;
            }
        }

        private Class<?> define(String name) throws ClassNotFoundException {
            try (InputStream in =
                    getParent().getResourceAsStream(name.replace('.', '/') + ".class")) {
                byte[] code = in.readAllBytes();
                return defineClass(name, code, 0, code.length);
            } catch (IOException e) {
                throw new ClassNotFoundException(name, e);
            }
        }
    }
}
