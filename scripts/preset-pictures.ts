import { mkdir } from 'node:fs/promises';
import sharp, { type OverlayOptions } from 'sharp';
import { loadConfig } from '../src/config.ts';
import { renderVariants } from '../src/imaging/renditions/derive-renditions.ts';
import { listedVariant } from '../src/model/preset.ts';

/**
 * Draws `docs/images/presets.png`: three pictures, each with the presets whose names are in the first line. The renditions are made
 * by the rendition pipeline.
 */

// The pipeline blocks everything but photographs.
sharp.unblock({ operation: ['VipsForeignLoadSvgBuffer'] });

const box = { width: 180, height: 180, formats: ['png'] };
const presets = loadConfig({
  PRESETS: JSON.stringify({
    inside: box,
    pad: { ...box, fit: 'pad', background: '#dfe7f2' },
    cover: { ...box, fit: 'cover' },
    trim: { ...box, fit: 'pad', trim: { margin: 5 }, background: '#dfe7f2' },
    transparent: { ...box, fit: 'pad', trim: { margin: 5 }, background: 'transparent' },
  }),
}).presets;

const toPng = (svg: string) => sharp(Buffer.from(svg)).png().toBuffer();
const svg = (width: number, height: number, content: string) =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${content}</svg>`;

const photograph = svg(
  900,
  600,
  '<defs><linearGradient id="s" x2="0" y2="1"><stop stop-color="#6fa8dc"/><stop offset="1" stop-color="#f6d7a7"/></linearGradient></defs>' +
    '<rect width="900" height="600" fill="url(#s)"/><circle cx="690" cy="190" r="70" fill="#fff3c4"/>' +
    '<path d="M0 430 220 220 420 430 560 330 900 520V600H0Z" fill="#4a6b57"/><path d="M0 520 300 420 900 560V600H0Z" fill="#2f4a3c"/>',
);
const mug =
  '<rect x="330" y="240" width="210" height="240" rx="24" fill="#b5442f"/>' +
  '<path d="M540 290h50a50 50 0 0 1 0 130h-50" fill="none" stroke="#b5442f" stroke-width="30"/>' +
  '<ellipse cx="435" cy="244" rx="105" ry="22" fill="#7d2c1e"/>';
const pictures = [
  photograph,
  svg(900, 700, `<rect width="900" height="700" fill="#fff"/>${mug}`),
  svg(900, 700, mug),
];

const limits = { maxPixels: 1e7, maxAvifPixels: 1e7, maxFrames: 1, allowedFormats: ['png'] as const };
const [cell, gap, header] = [200, 10, 30];
const [width, height] = [presets.length * cell + gap, pictures.length * cell + header + gap];

const layers: OverlayOptions[] = [];
for (const [row, picture] of pictures.entries()) {
  const variants = presets.map(listedVariant);
  const { renditions } = await renderVariants(await toPng(picture), limits, variants, null);
  for (const [column, preset] of presets.entries()) {
    const rendition = renditions.find((candidate) => candidate.preset.name === preset.name);
    if (!rendition) throw new Error(`There is no rendition for ${preset.name}.`);
    const { data } = rendition;
    const { width: renditionWidth, height: renditionHeight } = await sharp(data).metadata();
    layers.push({
      input: data,
      left: column * cell + gap + Math.floor((box.width - renditionWidth) / 2),
      top: row * cell + header + gap + Math.floor((box.height - renditionHeight) / 2),
    });
  }
}
const labels = presets
  .map(
    ({ name }, column) =>
      `<text x="${column * cell + gap + box.width / 2}" y="22" text-anchor="middle" font-family="sans-serif" font-size="15">${name}</text>`,
  )
  .join('');
// The squares show what is clear.
const squares =
  '<defs><pattern id="c" width="16" height="16" patternUnits="userSpaceOnUse"><rect width="16" height="16" fill="#fff"/><path d="M0 0h8v8H0zM8 8h8v8H8z" fill="#e4e4e4"/></pattern></defs>';
const cells = pictures
  .flatMap((_picture, row) =>
    presets.map(
      (_preset, column) =>
        `<rect x="${column * cell + gap}" y="${row * cell + header + gap}" width="${box.width}" height="${box.height}" fill="url(#c)" stroke="#bbb"/>`,
    ),
  )
  .join('');
await mkdir('docs/images', { recursive: true });
await sharp(
  Buffer.from(
    svg(width, height, `${squares}<rect width="100%" height="100%" fill="#fff"/>${labels}${cells}`),
  ),
)
  .composite(layers)
  .png({ palette: true, quality: 80, effort: 10 })
  .toFile('docs/images/presets.png');
