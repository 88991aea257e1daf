/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import org.testng.Assert;
import org.testng.annotations.Test;

public class TextTableTest {

    @Test
    public void testPrint() {
        TextTable table = new TextTable("adapter", "answer", "");
        table.add("upper", "HELLO", "yes");
        table.add("pig latin", "a", "");
        StringWriter text = new StringWriter();
        table.print(new PrintWriter(text, true));
        Assert.assertEquals(
                text.toString().lines().toList(),
                List.of(
                        "adapter    answer",
                        "---------  ------  ---",
                        "upper      HELLO   yes",
                        "pig latin  a"));
    }

    @Test
    public void testWrongWidth() {
        TextTable table = new TextTable("a", "b");
        Assert.assertThrows(IllegalArgumentException.class, () -> table.add("1"));
    }
}
