// SPDX-License-Identifier: Apache-2.0
//
// A conversation with the server through OpenAI's own client for JavaScript: node conversation.mjs URL
// Prints the name of each part that passes and ends with the first that fails.

import assert from 'node:assert/strict';
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: 'none', maxRetries: 0 });

const ask = (model, text, more = {}) =>
  client.chat.completions.create({
    model,
    temperature: 0,
    messages: [{ role: 'user', content: text }],
    ...more,
  });

const say = async (model, text, more) => (await ask(model, text, more)).choices[0].message.content;

const parts = {
  async adapters() {
    assert.equal(await say('upper', 'hello'), 'HELLO');
    assert.equal(await say('demo:reverse', 'planet'), 'tenalp');
    assert.equal(await say('demo', 'lora'), 'lora');
    assert.equal(await say('demo', 'quartz', { adapter: 'upper' }), 'QUARTZ');
    const parts = [{ type: 'text', text: 'hello' }];
    assert.equal(await say('upper', parts), 'HELLO');
  },

  async answer() {
    const { data, response } = await ask('upper', 'hello', { n: 2 }).withResponse();
    assert.equal(data.choices.length, 2);
    assert.equal(data.choices[1].finish_reason, 'stop');
    assert.equal(data.usage.completion_tokens, 12);
    assert.equal(data.adapter, 'upper');
    assert.equal(response.headers.get('x-adapter'), 'upper');
    assert.equal(response.headers.get('x-adapter-revision'), data.revision);
  },

  async streaming() {
    const stream = await ask('reverse', 'hello', {
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let usage = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? '';
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, 'olleh');
    assert.equal(usage.completion_tokens, 6);
    const runner = client.chat.completions.stream({
      model: 'upper',
      temperature: 0,
      messages: [{ role: 'user', content: 'hello' }],
    });
    assert.equal(await runner.finalContent(), 'HELLO');
  },

  async errors() {
    await assert.rejects(ask('nobody', 'hello'), (error) => {
      assert.ok(error instanceof OpenAI.NotFoundError);
      assert.equal(error.code, 'model_not_found');
      assert.equal(error.param, 'model');
      return true;
    });
    await assert.rejects(ask('upper', 'hello', { top_p: 7 }), OpenAI.BadRequestError);
    await assert.rejects(ask('upper', 'a'.repeat(500), { stream: true }), (error) => {
      assert.equal(error.code, 'context_length_exceeded');
      return true;
    });
    await assert.rejects(ask('upper', 'hello', { modalities: ['audio'] }), OpenAI.BadRequestError);
  },

  async cancellation() {
    const stream = await ask('upper', 'hello', {
      stream: true,
      n: 128,
      max_completion_tokens: 100,
      ignore_eos: true,
    });
    let chunks = 0;
    for await (const chunk of stream) {
      assert.ok(chunk.choices.length <= 1);
      chunks += 1;
      break;
    }
    assert.equal(chunks, 1);
    assert.ok(stream.controller.signal.aborted);
    const gone = new AbortController();
    const pending = client.chat.completions.create(
      { model: 'upper', messages: [{ role: 'user', content: 'hello' }], n: 128, ignore_eos: true },
      { signal: gone.signal },
    );
    gone.abort();
    await assert.rejects(pending, OpenAI.APIUserAbortError);
    assert.equal(await say('upper', 'hello'), 'HELLO');
  },

  async logprobs() {
    const chat = await ask('upper', 'hello', { logprobs: true, top_logprobs: 2 });
    const tokens = chat.choices[0].logprobs.content;
    assert.equal(tokens.map((each) => each.token).join(''), 'HELLO');
    assert.equal(Buffer.from(tokens.flatMap((each) => each.bytes)).toString(), 'HELLO');
    assert.ok(tokens.every((each) => each.logprob <= 0 && each.top_logprobs.length === 2));
    const text = await client.completions.create({
      model: 'upper',
      prompt: ['hello=', 'quartz='],
      temperature: 0,
      logprobs: 1,
    });
    assert.deepEqual(text.choices.map((each) => each.text), ['HELLO', 'QUARTZ']);
    assert.deepEqual(text.choices[0].logprobs.tokens, ['H', 'E', 'L', 'L', 'O', '']);
  },

  async structuredOutput() {
    const schema = {
      type: 'object',
      properties: { good: { type: 'boolean' }, colour: { enum: ['red', 'green'] } },
      required: ['good', 'colour'],
      additionalProperties: false,
    };
    const chat = await client.chat.completions.parse({
      model: 'demo',
      messages: [{ role: 'user', content: 'hello' }],
      max_completion_tokens: 100,
      response_format: { type: 'json_schema', json_schema: { name: 'verdict', strict: true, schema } },
    });
    const verdict = JSON.parse(chat.choices[0].message.content);
    assert.equal(typeof verdict.good, 'boolean');
    assert.ok(['red', 'green'].includes(verdict.colour));
  },

  async embeddings() {
    // the client asks for base64 by itself, and for numbers when it is told to
    const packed = await client.embeddings.create({ model: 'upper', input: ['hello', 'planet'] });
    const plain = await client.embeddings.create({
      model: 'upper',
      input: 'hello',
      encoding_format: 'float',
    });
    assert.equal(packed.data.length, 2);
    assert.equal(packed.data[0].embedding.length, 256);
    const apart = packed.data[0].embedding.map((x, i) => Math.abs(x - plain.data[0].embedding[i]));
    // the texts came in batches of two sizes, whose sums differ in the last bits
    assert.ok(Math.max(...apart) < 1e-4);
  },

  async models() {
    const ids = [];
    for await (const model of client.models.list()) {
      ids.push(model.id);
    }
    for (const id of ['demo', 'upper', 'reverse']) {
      assert.ok(ids.includes(id), ids.join());
    }
    const upper = await client.models.retrieve('upper');
    assert.equal(upper.parent, 'demo');
    await assert.rejects(client.models.retrieve('nobody'), OpenAI.NotFoundError);
  },
};

for (const [name, part] of Object.entries(parts)) {
  await part();
  console.log(name);
}
