/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.json;

import static org.testng.Assert.assertEquals;

import java.io.IOException;
import org.testng.annotations.Test;

public class MessageTest {

    @Test
    public void failuresOfLibrariesAreShownOnOneShortLine() {
        assertEquals(Message.brief(new IOException("a\nb")), "IOException: a\\u000ab");
        assertEquals(Message.brief(new IOException()), "IOException");
        assertEquals(
                Message.brief(new IOException("n".repeat(9999))),
                "IOException: " + "n".repeat(287) + "...");
    }
}
