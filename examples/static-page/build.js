import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

// Builds a static page that shows the newest images of a Vitrine server. It needs nothing but Node:
//
//   node examples/static-page/build.js --server http://127.0.0.1:8000 --preset card --output page.html
//
// With AUTH=keys, set VITRINE_API_KEY, and DELIVERY=public so that visitors of the page need no key.

const { values } = parseArgs({
  options: {
    server: { type: 'string', default: 'http://127.0.0.1:8000' },
    preset: { type: 'string', default: 'card' },
    limit: { type: 'string', default: '24' },
    output: { type: 'string', default: 'page.html' },
  },
});

const key = process.env.VITRINE_API_KEY;
const response = await fetch(new URL(`/v1/images?status=completed&limit=${values.limit}`, values.server), {
  headers: key ? { authorization: `Bearer ${key}` } : {},
});
if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
const { items } = await response.json();
const pictures = items.flatMap((image) => toPicture(image, image.delivery[values.preset]) ?? []);
if (items.length > 0 && pictures.length === 0)
  throw new Error(`No image has the preset "${values.preset}".`);
await writeFile(values.output, toPage(pictures));
console.log(`${values.output}: ${pictures.length} pictures`);

/** Returns a <picture>; undefined if the image has no such preset. */
function toPicture({ original_filename: name }, delivery) {
  if (!delivery) return undefined;
  const { formats, srcsets, width, height } = delivery;
  const sizes = width ? `${width}px` : '100vw';
  // The smallest files first: a browser takes the first source that it can read.
  const sources = ['avif', 'webp']
    .filter((format) => srcsets[format])
    .map(
      (format) =>
        `<source type="image/${format}" srcset="${escape(absolute(srcsets[format]))}" sizes="${sizes}">`,
    );
  const fallback = formats.jpeg ? 'jpeg' : Object.keys(formats)[0];
  const size = width && height ? ` width="${width}" height="${height}"` : '';
  return `<picture>
      ${sources.join('\n      ')}
      <img src="${escape(absolute(formats[fallback]))}" srcset="${escape(absolute(srcsets[fallback]))}" sizes="${sizes}"${size} alt="${escape(name ?? '')}" loading="lazy">
    </picture>`;
}

/** Makes the addresses of a server without PUBLIC_URL absolute, because the page may be on another host. */
function absolute(addresses) {
  const { origin } = new URL(values.server);
  return addresses.replaceAll(/(^|, )\//g, `$1${origin}/`);
}

function escape(text) {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
}

function toPage(pictures) {
  return `<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Catalog</title>
  <style>
    body { display: flex; flex-wrap: wrap; gap: 16px; margin: 16px; background: #fff; }
    img { display: block; max-width: 100%; height: auto; }
  </style>
  <body>
    ${pictures.join('\n    ')}
  </body>
</html>
`;
}
