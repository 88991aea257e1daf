/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving.plugin;

import ai.djl.lora.serving.LoraAdapter;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.serving.http.BadRequestException;
import ai.djl.serving.http.MethodNotAllowedException;
import ai.djl.serving.plugins.RequestHandler;
import ai.djl.serving.wlm.util.EventManager;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.QueryStringDecoder;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Function;
import java.util.regex.Pattern;

/**
 * Answers DJL Serving's requests about adapters, for models of this project.
 *
 * <p>The routes are the server's own: {@code POST /models/{model}/adapters?name=&src=}, {@code POST
 * .../adapters/{adapter}/update}, {@code GET .../adapters}, {@code GET .../adapters/{adapter}} and
 * {@code DELETE .../adapters/{adapter}}, also without {@code /models/{model}} where the server was
 * started with one model. A request for any other model is not accepted, so that it goes on to the
 * server's own handler and is answered as without this plugin.
 */
public final class AdapterRequestHandler implements RequestHandler<CompletableFuture<Object>> {

    private static final Pattern PATH = Pattern.compile("^(/models/[^/^?]+)?/adapters([/?].*)?");
    private static final String ALIAS = "X-Amzn-SageMaker-Adapter-Alias";
    private static final int BAD_REQUEST = 400;
    private static final int CONFLICT = 409;
    private static final int FAILURES = 300;
    private static final int MOST_LISTED = 100;

    private final ServedModels models;

    /** Constructs a new {@code AdapterRequestHandler} instance, for the server that loads it. */
    public AdapterRequestHandler() {
        this(new ServerModels());
        EventManager.getInstance().addListener(new LoadedModels());
    }

    /**
     * Constructs a new {@code AdapterRequestHandler} instance.
     *
     * @param models what is served
     */
    AdapterRequestHandler(ServedModels models) {
        this.models = models;
    }

    /** {@inheritDoc} */
    @Override
    public boolean acceptInboundMessage(Object msg) {
        if (!(msg instanceof HttpRequest request) || !PATH.matcher(request.uri()).matches()) {
            return false;
        }
        return model(segments(request.uri())).isPresent();
    }

    private static List<String> segments(String uri) {
        String path = new QueryStringDecoder(uri).path();
        return List.of(path.substring(1).split("/"));
    }

    private Optional<ServedModel> model(List<String> segments) {
        Optional<String> name =
                "models".equals(segments.get(0)) ? Optional.of(segments.get(1)) : models.single();
        return name.flatMap(models::find);
    }

    /** {@inheritDoc} */
    @Override
    public CompletableFuture<Object> handleRequest(
            ChannelHandlerContext ctx,
            FullHttpRequest req,
            QueryStringDecoder decoder,
            String[] segments) {
        List<String> path = segments(req.uri());
        ServedModel model =
                model(path)
                        .orElseThrow(
                                () -> new BadRequestException(BAD_REQUEST, "The model is gone"));
        if (!model.isEnabled()) {
            throw new BadRequestException(BAD_REQUEST, "LoRA is not enabled.");
        }
        List<String> rest = path.subList(path.indexOf("adapters") + 1, path.size());
        HttpMethod method = req.method();
        String alias = req.headers().get(ALIAS);
        if (rest.isEmpty()) {
            if (HttpMethod.GET.equals(method)) {
                return list(model, decoder);
            }
            if (HttpMethod.POST.equals(method)) {
                return register(model, decoder, alias);
            }
        } else if (rest.size() == 1) {
            if (HttpMethod.GET.equals(method)) {
                return describe(model, rest.get(0));
            }
            if (HttpMethod.DELETE.equals(method)) {
                return answer(model.unregister(rest.get(0)), AdapterAnswers::object);
            }
        } else if (rest.size() == 2
                && "update".equals(rest.get(1))
                && HttpMethod.POST.equals(method)) {
            Map<String, String> changes = parameters(decoder);
            String other = changes.remove("alias");
            return answer(
                    model.update(rest.get(0), other == null ? alias : other, changes),
                    AdapterAnswers::object);
        }
        throw new MethodNotAllowedException();
    }

    private static CompletableFuture<Object> register(
            ServedModel model, QueryStringDecoder decoder, String alias) {
        Map<String, String> parameters = parameters(decoder);
        String name = required(parameters, "name");
        String src = required(parameters, "src");
        String other = parameters.remove("alias");
        if (model.knows(name)) {
            throw new BadRequestException(
                    CONFLICT, "The adapter " + name + " already exists; unregister or update it");
        }
        return answer(
                model.register(name, other == null ? alias : other, src, parameters),
                AdapterAnswers::object);
    }

    private static CompletableFuture<Object> describe(ServedModel model, String adapter) {
        Input job = LoraAdapter.newJob(LoraAdapter.DESCRIBE);
        job.addProperty("name", adapter);
        return answer(model.run(job), AdapterAnswers::object);
    }

    private static CompletableFuture<Object> list(ServedModel model, QueryStringDecoder decoder) {
        Map<String, String> parameters = parameters(decoder);
        int limit = number(parameters, "limit", MOST_LISTED);
        int first = number(parameters, "next_page_token", 0);
        int most = Math.min(limit, MOST_LISTED);
        return answer(
                model.run(LoraAdapter.newJob(LoraAdapter.LIST)),
                output -> page(AdapterAnswers.list(output), first, most));
    }

    private static JsonObject page(List<JsonObject> all, int first, int most) {
        int from = Math.min(first, all.size());
        int to = (int) Math.min((long) from + most, all.size());
        JsonObject page = new JsonObject();
        if (to < all.size()) {
            page.addProperty("nextPageToken", String.valueOf(to));
        }
        JsonArray adapters = new JsonArray();
        for (JsonObject each : all.subList(from, to)) {
            JsonObject item = new JsonObject();
            for (String field : List.of("name", "src", "preload", "pin")) {
                item.add(field, each.get(field));
            }
            adapters.add(item);
        }
        page.add("adapters", adapters);
        return page;
    }

    /* The server takes its failures as they are, not inside a CompletionException. */
    private static CompletableFuture<Object> answer(
            CompletableFuture<Output> outputs, Function<Output, JsonObject> reader) {
        CompletableFuture<Object> answer = new CompletableFuture<>();
        outputs.whenComplete(
                (output, failure) -> {
                    try {
                        if (failure != null) {
                            throw failure;
                        }
                        if (output.getCode() >= FAILURES) {
                            throw new BadRequestException(output.getCode(), output.getMessage());
                        }
                        answer.complete(reader.apply(output));
                    } catch (CompletionException e) {
                        answer.completeExceptionally(e.getCause());
                    } catch (Throwable e) {
                        answer.completeExceptionally(e);
                    }
                });
        return answer;
    }

    private static Map<String, String> parameters(QueryStringDecoder decoder) {
        Map<String, String> parameters = new LinkedHashMap<>();
        decoder.parameters()
                .forEach(
                        (key, values) -> {
                            if (values.size() != 1) {
                                throw new BadRequestException(
                                        BAD_REQUEST, "Parameter " + key + " is given twice.");
                            }
                            parameters.put(key, values.get(0));
                        });
        return parameters;
    }

    private static String required(Map<String, String> parameters, String key) {
        String value = parameters.remove(key);
        if (value == null || value.isBlank()) {
            throw new BadRequestException(BAD_REQUEST, "Parameter " + key + " is required.");
        }
        return value;
    }

    private static int number(Map<String, String> parameters, String key, int otherwise) {
        String value = parameters.get(key);
        if (value == null) {
            return otherwise;
        }
        try {
            int number = Integer.parseInt(value);
            if (number >= 0) {
                return number;
            }
        } catch (NumberFormatException e) {
            throw notWhole(key, value);
        }
        throw notWhole(key, value);
    }

    private static BadRequestException notWhole(String key, String value) {
        return new BadRequestException(
                BAD_REQUEST, "Parameter " + key + " is " + value + "; it must be 0 or more");
    }
}
