// SPDX-License-Identifier: Apache-2.0
//
// Uses the console as a person does: node console.mjs URL CHROMIUM. The server has the demo model with the adapters
// upper and reverse.
import assert from 'node:assert/strict';
import {chromium} from 'playwright-core';

const [url, executablePath] = process.argv.slice(2);
const browser = await chromium.launch({executablePath, args: ['--no-sandbox']});
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(60_000);
  const problems = [];
  page.on('pageerror', error => problems.push(error.message));
  page.on('console', message => message.type() === 'error' && problems.push(message.text()));
  await page.goto(url + '/console');

  // adapters and their tiers
  await page.waitForSelector('tr[data-adapter=upper]');
  const names = await page.locator('#adapters tbody tr').evaluateAll(rows => rows.map(row => row.dataset.adapter));
  assert.deepEqual(names.sort(), ['reverse', 'upper']);
  assert.equal(await page.textContent('#count'), '2 of 2');
  await page.fill('#filter', 'REV');
  assert.equal(await page.textContent('#count'), '1 of 2');
  await page.fill('#filter', '');

  // several adapters answer one prompt beside each other
  await page.fill('#prompt', 'hello=');
  for (const name of ['demo', 'upper', 'reverse']) {
    await page.check(`#choices input[value=${name}]`);
  }
  await page.click('#run');
  const expected = {demo: 'hello', upper: 'HELLO', reverse: 'olleh'};
  for (const [name, text] of Object.entries(expected)) {
    const card = page.locator(`.answer.done[data-adapter=${name}]`);
    await card.waitFor();
    assert.equal(await card.locator('pre').textContent(), text);
    assert.match(await card.locator('.about').textContent(), /^\d+ tokens, first after \d+ ms/);
  }

  // where they are now, and what an adapter's load report says
  await page.waitForSelector('tr[data-adapter=upper] .tier.device');
  await page.click('tr[data-adapter=upper] >> text=report');
  await page.waitForSelector('#report:visible');
  assert.match(await page.textContent('#report-text'), /"report"/);
  await page.click('tr[data-adapter=upper] >> text=pin');
  await page.waitForSelector('tr[data-adapter=upper] .tier:has-text("pinned")');

  // charts of what is measured
  await page.waitForSelector('#charts figure:has-text("tokens a second")');
  // a line that is level has no height, and counts as hidden
  await page.waitForSelector('#charts polyline', {state: 'attached'});
  await page.waitForSelector('#charts figure:has-text("device hit rate")');
  await page.waitForSelector('#charts figure:has-text("memory of the process")');
  assert.equal(await page.textContent('#state'), 'connected');

  // what the server refuses is shown, and is not markup
  await page.fill('#tokens', '4096');
  await page.uncheck('#choices input[value=demo]');
  await page.uncheck('#choices input[value=reverse]');
  await page.fill('#prompt', '<img src=x onerror=alert(1)>'.repeat(300));
  await page.click('#run');
  const refused = page.locator('.answer.failed[data-adapter=upper]');
  await refused.waitFor();
  assert.notEqual(await refused.locator('.about').textContent(), '');
  assert.equal(await page.locator('#answers img').count(), 0);

  // a refused request is logged by the browser; anything else is a defect of the page
  assert.deepEqual(problems.filter(problem => !problem.includes('status of 400')), []);
} finally {
  await browser.close();
}
