import * as fc from 'fast-check';
import type { Body } from './json-bodies.ts';

/** URLs that the server does not fetch. */
const unusableUrls = ['ftp://nowhere/x', 'no url', '', 'http://127.0.0.1/\u0000', 'x'.repeat(9_000)];

/** Generates valid CSV imports. The imports can contain invalid URLs, because the server rejects only the lines with these URLs. */
export function generateValidCsv(urls: readonly string[]): fc.Arbitrary<Body> {
  const cellText = fc.constantFrom('shop-a', 'product-1', '', '"a ""quoted"" name"', 'ünïcode');
  const url = fc.constantFrom(...urls, ...unusableUrls);
  const line = fc.record({ url, tenant: cellText, reference: cellText });
  const columns = fc.shuffledSubarray(['url', 'tenant', 'reference'] as const, { minLength: 1 });
  return fc
    .tuple(
      columns.filter((names) => names.includes('url')),
      fc.array(line, { minLength: 1, maxLength: 5 }),
      fc.constantFrom(',', ';', '\t'),
      fc.constantFrom('\n', '\r\n'),
    )
    .map(([names, lines, separator, lineEnd]) => {
      const rows = [names, ...lines.map((cell) => names.map((name) => cell[name]))];
      return makeCsvBody(
        rows.map((row) => row.join(names.length > 1 ? separator : ',')).join(lineEnd),
        'valid',
      );
    });
}

const invalidTexts = [
  '',
  'url',
  'url\n',
  'tenant,reference\na,b',
  'url,colour\nhttp://127.0.0.1/x,red',
  '"url\nhttp://127.0.0.1/x',
  'url,url\n,',
  `url\n${'x\n'.repeat(1_001)}`,
  'http://127.0.0.1/x,shop-a',
  'url,tenant,URL\na,b,c',
  `url\n${'x'.repeat(2 ** 20)}`,
  '\uFEFF',
];

/** CSV imports that the server rejects as a whole. */
export const invalidCsv: fc.Arbitrary<Body> = fc
  .constantFrom(...invalidTexts)
  .map((csv) => makeCsvBody(csv, 'invalid'));

function makeCsvBody(text: string, validity: Body['validity']): Body {
  return { type: 'text/csv; charset=utf-8', bytes: Buffer.from(text), validity };
}
