import { expect, test } from 'vitest';
import { html, prose } from '../../src/http/api-pages/html.ts';

test('escapes text, does not escape HTML twice, and omits missing values', () => {
  const unsafe = `<img src=x onerror="alert('1')">&`;
  const escaped = '&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;';
  expect(html`<p title="${unsafe}">${unsafe}</p>`.html).toBe(`<p title="${escaped}">${escaped}</p>`);
  expect(html`<ul>${[html`<li>${1}</li>`, html`<li>${'<'}</li>`]}</ul>`.html).toBe(
    '<ul><li>1</li><li>&lt;</li></ul>',
  );
  expect(html`a${undefined}b${false}c`.html).toBe('abc');
});

test('renders text in backticks as code', () => {
  expect(prose('Take `<b>` or `x`, not <b>.').html).toBe(
    'Take <code>&lt;b&gt;</code> or <code>x</code>, not &lt;b&gt;.',
  );
});
