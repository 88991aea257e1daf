// SPDX-License-Identifier: Apache-2.0
'use strict';

const POLL_MILLIS = 2000;
const SAMPLES = 150;
const MEBIBYTE = 1024 * 1024;

const element = id => document.getElementById(id);
const state = {adapters: [], base: '', chosen: new Set(), samples: [], running: null, shown: null};

/** Makes an element; text is never taken for markup. */
function make(name, properties = {}, ...children) {
  const made = document.createElement(name);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

function headers(more = {}) {
  const key = sessionStorage.getItem('key');
  return key ? {...more, Authorization: 'Bearer ' + key} : more;
}

/** Says what is wrong, or nothing. */
function tell(problem) {
  element('problem').hidden = !problem;
  element('problem').textContent = problem ?? '';
}

async function failure(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).error.message;
  } catch {
    return response.status + ' ' + text.slice(0, 200);
  }
}

async function call(method, path) {
  const response = await fetch(path, {method, headers: headers()});
  if (!response.ok) {
    throw new Error(await failure(response));
  }
  const type = response.headers.get('content-type') ?? '';
  return type.startsWith('application/json') ? response.json() : response.text();
}

// adapters

async function loadAdapters() {
  const all = [];
  let token = '';
  do {
    const page = await call('GET', 'adapters?limit=500' + (token ? '&next_page_token=' + encodeURIComponent(token) : ''));
    all.push(...page.adapters);
    token = page.nextPageToken ?? '';
  } while (token);
  state.adapters = all;
}

function showAdapters() {
  const wanted = element('filter').value.toLowerCase();
  const shown = state.adapters.filter(adapter => adapter.name.toLowerCase().includes(wanted));
  element('count').textContent = shown.length + ' of ' + state.adapters.length;
  element('adapters').tBodies[0].replaceChildren(...shown.slice(0, 500).map(row));
}

function row(adapter) {
  const tier = adapter.state === 'failed' || adapter.state === 'loading' ? adapter.state : adapter.tier;
  const line = make('tr', {},
      make('td', {textContent: adapter.name}),
      make('td', {}, make('span', {className: 'tier ' + tier, textContent: tier + (adapter.pinned ? ', pinned' : '')})),
      number(adapter.bytes === undefined ? '' : (adapter.bytes / MEBIBYTE).toFixed(2)),
      number(adapter.hits ?? ''),
      number(adapter.misses ?? ''),
      number(adapter.leases ?? ''),
      make('td', {textContent: (adapter.revision ?? '').slice(0, 12), title: adapter.revision ?? ''}),
      make('td', {}, action(adapter, 'report', () => showReport(adapter.name)),
          adapter.pinned ? action(adapter, 'unpin') : action(adapter, 'pin'), action(adapter, 'prefetch')));
  line.dataset.adapter = adapter.name;
  return line;
}

function number(text) {
  return make('td', {className: 'number', textContent: text});
}

function action(adapter, name, does) {
  const act = does ?? (() => call('POST', 'adapters/' + encodeURIComponent(adapter.name) + '/' + name));
  return make('button', {
    type: 'button',
    textContent: name,
    onclick: () => Promise.resolve(act()).then(poll).catch(e => tell(e.message)),
  });
}

async function showReport(name) {
  state.shown = name;
  const described = await call('GET', 'adapters/' + encodeURIComponent(name));
  element('report').hidden = false;
  element('report-title').textContent = name;
  element('report-text').textContent = JSON.stringify(described, null, 2);
  element('report').scrollIntoView({block: 'nearest'});
}

// charts, of what the server tells Prometheus

/** Returns the values of a metric's lines, with their labels. */
function metric(text, name) {
  return text.split('\n').filter(line => line.startsWith(name + '{') || line.startsWith(name + ' '))
      .map(line => ({labels: line.slice(name.length, line.lastIndexOf(' ')), value: Number(line.slice(line.lastIndexOf(' ')))}));
}

function sum(text, name, label = '') {
  const values = metric(text, name).filter(one => one.labels.includes(label));
  return values.length ? values.reduce((total, one) => total + one.value, 0) : undefined;
}

function rate(key, factor = 1) {
  return (now, before) => before && now[key] !== undefined && before[key] !== undefined
      ? factor * (now[key] - before[key]) / ((now.time - before.time) / 1000) : undefined;
}

function share(part, rest) {
  return now => now[part] === undefined || now[part] + now[rest] === 0 ? undefined : now[part] / (now[part] + now[rest]);
}

const CHARTS = [
  {title: 'tokens a second', value: rate('tokens')},
  {title: 'requests that run', value: now => now.running},
  {title: 'requests that wait', value: now => now.waiting},
  {title: 'adapters on the device', value: now => now.resident},
  {title: 'device hit rate', value: share('hits', 'misses')},
  {title: 'memory of the process, MiB', value: now => now.memory === undefined ? undefined : now.memory / MEBIBYTE},
  {title: 'keys and values in use', value: now => now.kv},
];

async function sample() {
  const text = await call('GET', 'metrics/prometheus');
  state.samples.push({
    time: Date.now(),
    tokens: sum(text, 'tokens_processed_total'),
    running: sum(text, 'vllm:num_requests_running'),
    waiting: sum(text, 'vllm:num_requests_waiting'),
    resident: sum(text, 'active_adapters_count'),
    hits: sum(text, 'adapter_tier_hits_total', 'device'),
    misses: sum(text, 'adapter_tier_misses_total', 'device'),
    memory: sum(text, 'memory_usage_bytes', 'area="resident"'),
    kv: sum(text, 'vllm:kv_cache_usage_perc'),
  });
  state.samples.splice(0, state.samples.length - SAMPLES);
}

function showCharts() {
  element('charts').replaceChildren(...CHARTS.map(chart).filter(made => made));
}

function chart({title, value}) {
  const values = state.samples.map((now, i) => value(now, state.samples[i - 1])).filter(v => v !== undefined);
  if (values.length === 0) {
    return null;
  }
  const most = Math.max(...values, 1e-9);
  const points = values.map((v, i) => `${values.length > 1 ? 100 * i / (values.length - 1) : 100},${38 - 36 * v / most}`);
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 100 40');
  svg.setAttribute('preserveAspectRatio', 'none');
  const line = document.createElementNS('http://www.w3.org/2000/svg', 'polyline');
  line.setAttribute('points', points.join(' '));
  svg.append(line);
  const last = values[values.length - 1];
  return make('figure', {}, svg, make('figcaption', {},
      make('span', {textContent: title}),
      make('span', {textContent: last.toFixed(last < 10 ? 2 : 0)})));
}

// playground

function showChoices() {
  const names = [state.base, ...state.adapters.map(adapter => adapter.name)].filter(name => name);
  const present = [...element('choices').querySelectorAll('input')].map(input => input.value);
  if (present.join('\n') === names.join('\n')) {
    return;
  }
  element('choices').replaceChildren(...names.map(name => make('label', {},
      make('input', {
        type: 'checkbox',
        value: name,
        checked: state.chosen.has(name),
        onchange: event => event.target.checked ? state.chosen.add(name) : state.chosen.delete(name),
      }), ' ' + name)));
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let kept = '';
  for (;;) {
    const {done, value} = await reader.read();
    if (done) {
      return;
    }
    const parts = (kept + value).split('\n\n');
    kept = parts.pop();
    for (const part of parts) {
      const data = part.split('\n').filter(line => line.startsWith('data: ')).map(line => line.slice(6)).join('\n');
      if (data && data !== '[DONE]') {
        yield JSON.parse(data);
      }
    }
  }
}

async function answer(name, signal) {
  const text = make('pre');
  const about = make('div', {className: 'about'});
  const card = make('div', {className: 'answer'}, make('strong', {textContent: name}), text, about);
  card.dataset.adapter = name;
  element('answers').append(card);
  const begun = performance.now();
  let first;
  let tokens = 0;
  try {
    const response = await fetch('v1/completions', {
      method: 'POST',
      headers: headers({'Content-Type': 'application/json'}),
      signal,
      body: JSON.stringify({
        model: name,
        prompt: element('prompt').value,
        max_tokens: Number(element('tokens').value),
        temperature: Number(element('temperature').value),
        stream: true,
        stream_options: {include_usage: true},
      }),
    });
    if (!response.ok) {
      throw new Error(await failure(response));
    }
    const revision = response.headers.get('x-adapter-revision') ?? '';
    for await (const event of events(response)) {
      if (event.error) {
        throw new Error(event.error.message);
      }
      if (event.choices?.length) {
        first ??= performance.now() - begun;
        text.textContent += event.choices[0].text;
      }
      tokens = event.usage?.completion_tokens ?? tokens;
    }
    about.textContent = `${tokens} tokens, first after ${Math.round(first ?? 0)} ms, all after `
        + `${Math.round(performance.now() - begun)} ms${revision ? ', revision ' + revision.slice(0, 12) : ''}`;
    card.classList.add('done');
  } catch (e) {
    card.classList.add('failed');
    about.textContent = e.name === 'AbortError' ? 'stopped' : e.message;
  }
}

async function run(event) {
  event.preventDefault();
  const names = [...state.chosen].filter(name => name === state.base || state.adapters.some(a => a.name === name));
  if (names.length === 0) {
    tell('Choose an adapter, or the base model.');
    return;
  }
  tell();
  element('answers').replaceChildren();
  state.running = new AbortController();
  element('run').disabled = true;
  element('stop').disabled = false;
  await Promise.all(names.map(name => answer(name, state.running.signal)));
  element('run').disabled = false;
  element('stop').disabled = true;
}

// all together

async function poll() {
  const models = await call('GET', 'v1/models');
  state.base = models.data.find(model => !model.parent)?.id ?? '';
  element('model').textContent = state.base;
  await loadAdapters();
  showAdapters();
  showChoices();
  // a key that may have text generated may not see the metrics
  await sample().then(showCharts, e => element('charts').textContent = e.message);
}

async function watch() {
  try {
    if (!document.hidden) {
      await poll();
      element('state').textContent = 'connected';
    }
  } catch (e) {
    element('state').textContent = 'not connected';
    tell(e.message);
  }
  setTimeout(watch, POLL_MILLIS);
}

element('key').value = sessionStorage.getItem('key') ?? '';
element('key').onchange = event => {
  sessionStorage.setItem('key', event.target.value);
  tell();
};
element('filter').oninput = showAdapters;
element('playground').onsubmit = run;
element('stop').onclick = () => state.running?.abort();
watch();
