/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import static ai.djl.lora.adapter.AdapterDirectory.LAYOUT;
import static ai.djl.lora.adapter.AdapterDirectory.PREFIX;
import static ai.djl.lora.adapter.AdapterDirectory.Q;
import static ai.djl.lora.adapter.AdapterDirectory.V;
import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertFalse;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.TempDirectory;
import ai.djl.lora.adapter.TokenizerComparison.Relation;
import ai.djl.lora.tensor.ElementType;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

public class LoadReportTest {

    private static final String UNKNOWN = "model.layers.7.self_attn.q_proj.lora_A.weight";

    private AdapterDirectory directory;

    @BeforeMethod
    public void newDirectory() throws IOException {
        directory = new AdapterDirectory();
    }

    @AfterMethod
    public void deleteDirectory() throws IOException {
        directory.close();
    }

    private LoadReport validate() throws IOException {
        return directory.validate(LoadingPolicy.STRICT);
    }

    @Test
    public void isFullWhereEverythingIsUsed() throws IOException {
        directory.put(PREFIX + V + ".lora_B.weight", ElementType.FLOAT16, 2, 3);
        LoadReport report = validate();
        assertEquals(report.compatibility(), Compatibility.FULL);
        assertTrue(report.isAccepted());
        assertEquals(report.score(), 1.0);
        assertEquals(report.reasons(), List.of());
        assertEquals(report.issues(), List.of());
        assertEquals(report.source(), directory.path());
        assertEquals(
                report.modules(),
                List.of(
                        new ModuleReport(Q, "LoRA", 3, 2, "float32", 4 * (18 + 12)),
                        new ModuleReport(V, "LoRA", 3, 2, "float32", 4 * 18 + 2 * 6)));
        assertEquals(report.revision(), Optional.of(directory.load().revision()));
        assertFalse(report.loadTime().isZero());
        assertEquals(report.tokenizer(), Optional.empty());
    }

    @Test
    public void isPartialWhereNamingWhatIsIgnoredHelps() throws IOException {
        directory.put(PREFIX + UNKNOWN, 3, 6);
        LoadReport report = validate();
        assertEquals(report.compatibility(), Compatibility.PARTIAL);
        assertFalse(report.isAccepted());
        assertEquals(report.ignored(), List.of(UNKNOWN));
        assertEquals(report.applied(), List.of(Q, V));
        assertEquals(report.issues().get(0).code(), "tensor-unused");
        assertEquals(report.issues().get(0).severity(), Severity.ERROR);
        // four of five tensors are used
        assertEquals(report.score(), 0.8, 1e-12);
        assertEquals(report.reasons(), List.of("0.200: of 5 tensors 1 are ignored and 0 missing"));
        expectThrows(LoraCompatibilityException.class, directory::load);

        LoadingPolicy eased =
                LoadingPolicy.builder().allowUnused("model\\.layers\\.7\\..*").build();
        LoadReport allowed = directory.load(LAYOUT, eased).report();
        assertEquals(allowed.compatibility(), Compatibility.PARTIAL);
        assertTrue(allowed.isAccepted());
        assertEquals(allowed.ignored(), List.of(UNKNOWN));
        assertEquals(allowed.issues().get(0).severity(), Severity.WARNING);
        // the warning costs as well
        assertEquals(allowed.score(), 0.78, 1e-12);
        assertEquals(
                allowed.reasons(),
                List.of("0.200: of 5 tensors 1 are ignored and 0 missing", "0.02: 1 warnings"));
        // what is not named is not allowed
        directory.put(PREFIX + "model.layers.8.self_attn.q_proj.lora_A.weight", 3, 6);
        expectThrows(LoraCompatibilityException.class, () -> directory.load(LAYOUT, eased));
    }

    @Test
    public void isPartialWhereAModuleIsMissing() throws IOException {
        directory.tensors.keySet().removeIf(name -> name.contains("v_proj"));
        LoadReport report = validate();
        assertEquals(report.compatibility(), Compatibility.PARTIAL);
        assertEquals(report.missing(), List.of(V));
        assertEquals(report.issues().get(0).code(), "module-missing");
        LoadingPolicy eased = LoadingPolicy.builder().allowMissing(".*v_proj").build();
        assertEquals(directory.load(LAYOUT, eased).report().applied(), List.of(Q));
    }

    /** Half a pair needs both: leave to miss the one and not to use the other. */
    @Test
    public void isPartialWhereHalfOfAPairIsMissing() throws IOException {
        directory.tensors.remove(PREFIX + Q + ".lora_B.weight");
        LoadReport report = validate();
        assertEquals(report.compatibility(), Compatibility.PARTIAL);
        assertEquals(report.missing(), List.of(Q + ".lora_B.weight"));
        assertEquals(report.ignored(), List.of(Q + ".lora_A.weight"));
        LoadingPolicy.Builder eased =
                LoadingPolicy.builder().allowMissing(".*q_proj\\.lora_B\\.weight");
        expectThrows(LoraCompatibilityException.class, () -> directory.load(LAYOUT, eased.build()));
        eased.allowUnused(".*q_proj\\.lora_A\\.weight");
        LoraAdapter adapter = directory.load(LAYOUT, eased.build());
        assertEquals(adapter.changes().linears().keySet(), Set.of(V));
    }

    @Test
    public void isNoneWhereNoNamingHelps() throws IOException {
        directory.put(PREFIX + UNKNOWN, 3, 6);
        directory.with("r", "4");
        LoadReport report = validate();
        assertEquals(report.compatibility(), Compatibility.NONE);
        assertEquals(report.score(), 0.0);
        assertEquals(report.reasons(), List.of("1: the adapter is refused"));
        // it was not read
        assertEquals(report.revision(), Optional.empty());
        LoadingPolicy eased = LoadingPolicy.builder().allowUnused(".*").allowMissing(".*").build();
        expectThrows(LoraCompatibilityException.class, () -> directory.load(LAYOUT, eased));
    }

    @Test
    public void isNoneForAnUnsupportedVariant() throws IOException {
        directory.with("peft_type", "\"OFT\"");
        LoadReport report = validate();
        assertEquals(report.compatibility(), Compatibility.NONE);
        assertEquals(report.issues().size(), 1);
        assertEquals(report.issues().get(0).code(), "variant-unsupported");
    }

    @Test
    public void hasTheMembersThatAreDocumentedAsJson() throws IOException {
        directory.with("lora_dropout", "0.1");
        directory.put(PREFIX + UNKNOWN, 3, 6);
        LoadReport report = validate();
        JsonObject json = JsonParser.parseString(report.toJson().toString()).getAsJsonObject();
        assertEquals(
                json.keySet(),
                Set.of(
                        "source",
                        "compatibility",
                        "accepted",
                        "score",
                        "reasons",
                        "revision",
                        "modules",
                        "applied",
                        "ignored",
                        "missing",
                        "issues",
                        "load_seconds",
                        "tokenizer"));
        assertEquals(json.get("compatibility").getAsString(), "partial");
        assertFalse(json.get("accepted").getAsBoolean());
        assertEquals(json.get("revision").getAsString(), report.revision().orElseThrow());
        assertEquals(
                json.getAsJsonArray("modules").get(0),
                JsonParser.parseString(
                        "{\"name\": \""
                                + Q
                                + "\", \"variant\": \"LoRA\", \"rank\": 3, \"scale\": 2.0,"
                                + " \"dtype\": \"float32\", \"bytes\": 120}"));
        assertEquals(
                json.getAsJsonArray("issues").get(1),
                JsonParser.parseString(
                        "{\"severity\": \"warning\", \"code\": \"config-dropout\", \"message\":"
                                + " \"lora_dropout is 0.1; it acts in training alone\"}"));
        assertEquals(json.getAsJsonArray("applied").toString(), "[\"" + Q + "\",\"" + V + "\"]");
        assertEquals(json.getAsJsonArray("ignored").toString(), "[\"" + UNKNOWN + "\"]");
        assertTrue(json.get("tokenizer").isJsonNull());
    }

    @Test
    public void warnsOfUnusualScales() throws IOException {
        for (String alpha : List.of("48", "-49", "0.1875")) {
            directory.with("lora_alpha", alpha);
            boolean unusual = "-49".equals(alpha);
            List<Issue> issues = validate().issues();
            assertEquals(issues.isEmpty(), !unusual, issues.toString());
            if (unusual) {
                assertEquals(issues.get(0).code(), "scale");
                assertEquals(
                        issues.get(0).message(),
                        "the scale of module \""
                                + Q
                                + "\" is -16.333334, and 1 more are as unusual");
            }
        }
        directory.with("lora_alpha", "0.18");
        assertEquals(validate().issues().get(0).code(), "scale");
    }

    @Test
    public void warnsOfAnotherBaseModel() throws IOException {
        directory.with("base_model_name_or_path", "\"/home/me/Llama-3/\"");
        assertEquals(validate().issues(), List.of());
        for (String name : List.of("meta/llama-3", "C:\\models\\LLAMA-3", "llama-3")) {
            assertEquals(
                    directory.validate(LoadingPolicy.builder().optBaseModel(name).build()).issues(),
                    List.of());
        }
        assertEquals(
                directory
                        .validate(LoadingPolicy.builder().optBaseModel("meta/llama-2").build())
                        .messages(Severity.WARNING),
                List.of(
                        "base_model_name_or_path is \"/home/me/Llama-3/\", the model here is"
                                + " \"meta/llama-2\""));
        try (TempDirectory base = new TempDirectory()) {
            LoadingPolicy policy = LoadingPolicy.builder().optBaseDirectory(base.path()).build();
            assertEquals(directory.validate(policy).issues().get(0).code(), "config-base-model");
            Path cached = base.path().resolve("models--meta--llama-3/snapshots/0123abcd");
            assertEquals(
                    directory
                            .validate(LoadingPolicy.builder().optBaseDirectory(cached).build())
                            .issues(),
                    List.of());
            // checkpoints say what they were downloaded as
            base.write("config.json", "{\"_name_or_path\": \"x/llama-3\"}");
            assertEquals(directory.validate(policy).issues(), List.of());
        }
    }

    @Test
    public void comparesTokenizers() throws IOException {
        try (TempDirectory base = new TempDirectory()) {
            LoadingPolicy policy = LoadingPolicy.builder().optBaseDirectory(base.path()).build();
            assertEquals(directory.validate(policy).tokenizer(), Optional.empty());
            String vocabulary = "\"model\": {\"vocab\": {\"a\": 0, \"b\": 1}}";
            String tokens = "\"added_tokens\": [{\"id\": 2, \"content\": \"<s>\"}]";
            write("tokenizer.json", "{" + vocabulary + ", " + tokens + "}");
            write("tokenizer_config.json", "{\"chat_template\": \"x\"}");
            assertRelations(
                    policy, Relation.ONLY_ADAPTER, Relation.ONLY_ADAPTER, Relation.ONLY_ADAPTER);
            // white space does not count
            base.write("tokenizer.json", "{ " + vocabulary + ",\n" + tokens + "}");
            base.write("chat_template.jinja", "x");
            assertRelations(policy, Relation.SAME, Relation.SAME, Relation.SAME);
            assertEquals(directory.validate(policy).issues(), List.of());
            base.write(
                    "tokenizer.json",
                    "{" + vocabulary.replace("\"b\"", "\"c\"") + ", " + tokens + "}");
            base.write("chat_template.jinja", "y");
            assertRelations(policy, Relation.DIFFERENT, Relation.SAME, Relation.DIFFERENT);
            base.write(
                    "tokenizer.json",
                    "{" + vocabulary + ", " + tokens.replace("<s>", "</s>") + "}");
            assertRelations(policy, Relation.DIFFERENT, Relation.DIFFERENT, Relation.DIFFERENT);
            assertEquals(
                    directory.validate(policy).messages(Severity.WARNING),
                    List.of("the adapter's folder has other added tokens than the base model"));
            JsonObject json = directory.validate(policy).toJson().getAsJsonObject("tokenizer");
            assertEquals(
                    json,
                    JsonParser.parseString(
                            "{\"tokenizer\": \"different\", \"added_tokens\": \"different\","
                                    + " \"chat_template\": \"different\"}"));
            // what is no JSON does not keep the weights from being used
            write("tokenizer.json", "{\"model\": ");
            LoadReport report = directory.validate(policy);
            assertEquals(report.compatibility(), Compatibility.FULL);
            assertEquals(report.issues().get(0).code(), "tokenizer");
        }
    }

    private void write(String name, String text) throws IOException {
        Files.writeString(directory.path().resolve(name), text);
    }

    private void assertRelations(
            LoadingPolicy policy, Relation tokenizer, Relation addedTokens, Relation template)
            throws IOException {
        assertEquals(
                directory.validate(policy).tokenizer(),
                Optional.of(new TokenizerComparison(tokenizer, addedTokens, template)));
    }

    @Test
    public void lowersTheScoreForEachWarning() throws IOException {
        IntStream.range(0, 60).forEach(i -> directory.with("unknown_" + i, "1"));
        assertEquals(validate().score(), 0.0);
        assertEquals(validate().compatibility(), Compatibility.FULL);
        directory.config.asMap().keySet().removeIf(name -> name.matches("unknown_[1-5].*"));
        // unknown_0 and unknown_6 to unknown_9 are left
        assertEquals(validate().score(), 0.9, 1e-12);
    }

    @Test
    public void asksRulesOnce() throws IOException {
        List<ValidationSubject> subjects = new ArrayList<>();
        ValidationRule rule =
                subject -> {
                    subjects.add(subject);
                    return List.of(new Issue(Severity.INFO, "house", "seen"));
                };
        LoadReport report =
                directory.load(LAYOUT, LoadingPolicy.builder().addRule(rule).build()).report();
        assertEquals(report.messages(Severity.INFO), List.of("seen"));
        assertEquals(report.compatibility(), Compatibility.FULL);
        assertEquals(subjects.size(), 1);
        ValidationSubject subject = subjects.get(0);
        assertEquals(subject.config().peftType(), "LORA");
        assertEquals(subject.layout(), LAYOUT);
        assertEquals(subject.tensors().size(), 4);
        assertEquals(subject.report().applied(), List.of(Q, V));
    }

    @Test
    public void acceptsThePinnedRevision() throws IOException {
        String revision = directory.load().revision();
        LoadingPolicy pinned = LoadingPolicy.builder().optRevision(revision).build();
        assertEquals(directory.load(LAYOUT, pinned).revision(), revision);
        expectThrows(
                IllegalArgumentException.class, () -> LoadingPolicy.builder().optRevision("abc"));
        expectThrows(IllegalArgumentException.class, () -> LoadingPolicy.builder().optMaxBytes(0));
    }

    @Test
    public void checksCapsBeforeReadingData() throws IOException {
        LoadReport report = directory.validate(LoadingPolicy.builder().optMaxTensors(1).build());
        assertEquals(report.compatibility(), Compatibility.NONE);
        assertEquals(report.issues().get(0).code(), "cap-exceeded");
        assertEquals(report.revision(), Optional.empty());
    }
}
