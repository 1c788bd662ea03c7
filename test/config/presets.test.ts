import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { makePreset } from '../../src/model/preset.ts';
import { listConfigProblems } from '../support/inner/config-problems.ts';

const loadPreset = (options: unknown) =>
  loadConfig({ PRESETS: JSON.stringify({ card: options }) }).presets[0];

describe('the long form of a preset', () => {
  test('fills in the defaults, which the short forms have too', () => {
    const card = makePreset({ name: 'card', width: 400, height: 300 });
    expect(loadPreset({ width: 400, height: 300 })).toEqual(card);
    expect(loadPreset([400, 300])).toEqual(card);
    expect(loadPreset(400)).toEqual({ ...card, height: 400 });
    expect(card).toMatchObject({
      fit: 'inside',
      background: '#ffffff',
      focus: 'center',
      trim: null,
      enlarge: false,
      formats: ['jpeg', 'webp', 'avif'],
      densities: [1],
      eager: 'first',
      animation: 'still',
      keepMetadata: ['copyright', 'credit', 'ai'],
    });
    expect(card.quality.jpeg).toBe(85);
  });

  test('sets every option', () => {
    const options = {
      width: 600,
      height: 400,
      fit: 'pad',
      background: '#FFEEDD',
      trim: { margin: 5 },
      enlarge: true,
      formats: ['webp', 'jpeg'],
      quality: { jpeg: 70, webp: 60 },
      densities: [2, 1],
      eager: false,
    };
    const preset = loadPreset(options);
    expect(preset).toMatchObject({
      ...options,
      background: '#ffeedd',
      trim: { tolerance: 10, margin: 5 },
      quality: { jpeg: 70, webp: 60 },
      densities: [1, 2],
      eager: 'none',
    });
    expect(loadPreset({ width: 9, height: 9, fit: 'cover', focus: 'entropy', trim: false })).toMatchObject({
      focus: 'entropy',
      trim: null,
    });
    expect(loadPreset({ width: 9, height: 9, animation: 'keep', trim: false })).toMatchObject({
      animation: 'keep',
    });
  });

  test('has formats with transparency if its background is transparent', () => {
    expect(loadPreset({ width: 9, height: 9, background: 'transparent' })?.formats).toEqual([
      'png',
      'webp',
      'avif',
    ]);
  });
});

const wrongOptions: [options: object, sentence: RegExp][] = [
  [{ fit: 'contain' }, /the option "fit" of the preset "card" must be one of "inside", "cover", "pad"/],
  [{ background: 'white' }, /the option "background" .* must be `#rrggbb` or `transparent`/],
  [{ background: '#fff' }, /the option "background" .* must be `#rrggbb` or `transparent`/],
  [{ trim: 'yes' }, /the option "trim" .* must be `true`, `false`, or an object with a tolerance/],
  [{ trim: { margin: 60 } }, /the option "trim.margin" .* must be a number from 0 to 45/],
  [{ trim: { tolerance: 256 } }, /the option "trim.tolerance" .* must be a whole number from 0 to 255/],
  [{ trim: { border: 1 } }, /the option "trim" .* has no option "border"/],
  [{ formats: ['gif'] }, /the option "formats" .* must be one of "jpeg", "webp", "avif", "png"/],
  [{ formats: [] }, /the option "formats" .* must be a list of at least one format/],
  [{ formats: ['jpeg', 'jpeg'] }, /the option "formats" .* must be a list without duplicates/],
  [{ formats: 'jpeg' }, /the option "formats" .* must be a list of formats/],
  [{ quality: 0 }, /the option "quality" .* must be a whole number from 1 to 100/],
  [{ quality: { gif: 3 } }, /the option "quality" .* has no option "gif"/],
  [{ densities: [2] }, /the option "densities" .* must be a list that contains 1/],
  [{ densities: [1, 5] }, /the option "densities" .* must be a whole number from 1 to 4/],
  [{ densities: [1, 1] }, /the option "densities" .* must be a list without duplicates/],
  [{ eager: true }, /the option "eager" .* must be "first", "all" or `false`/],
  [{ animation: 'loop' }, /the option "animation" .* must be one of "still", "keep"/],
  [{ enlarge: 1 }, /the option "enlarge" .* must be `true` or `false`/],
  [{ width: '400' }, /the option "width" .* must be a whole number from 1 to 16383/],
  [{ height: undefined }, /the option "height" .* is missing; it must be a whole number from 1 to 16383/],
  [
    { quality: { avif: 60 }, formats: ['jpeg', 'webp'] },
    /the preset "card" has a quality for avif, which is not one of its formats \(jpeg, webp\)/,
  ],
  [{ zoom: 2 }, /the preset "card" has no option "zoom"/],
  [
    { background: 'transparent', formats: ['webp', 'jpeg'] },
    /the preset "card" has a transparent background and the format jpeg, which has no transparency/,
  ],
  [{ focus: 'entropy' }, /has the focus "entropy", which has an effect only with "fit": "cover"/],
  [{ fit: 'cover', trim: { margin: 3 } }, /has a margin, but "fit": "cover" leaves no room for one/],
  [{ animation: 'keep', formats: ['jpeg'] }, /has "animation": "keep", which requires the format webp/],
  [{ animation: 'keep', trim: true }, /has "animation": "keep" and "trim", but animations cannot be trimmed/],
  [
    { width: 9_000, densities: [1, 2] },
    /has a side of 18000 pixels at its highest density; the limit is 16383/,
  ],
];

test.each(wrongOptions)('rejects %j with a sentence', (options, sentence) => {
  const PRESETS = JSON.stringify({ card: { width: 400, height: 400, ...options } });
  const problems = listConfigProblems({ PRESETS });
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(sentence);
  expect(problems[0]).toMatch(/^PRESETS: ".*" is invalid: .*\. Accepted: a JSON object/);
});

test.each([
  ['{"card":"x"}', /the preset "card" must be a side length, a box or an object of options/],
  ['{"card":[1,2,3]}', /the preset "card" must be a pair of a width and a height/],
  ['{"A b":9}', /the preset "A b" must have a name of 1–32 characters/],
  ['{"-x":9}', /the preset "-x" must have a name of .*, starting with a letter or digit/],
  ['[]', /it must be a JSON object/],
  ['{"card":{"background":"', /is not JSON \(in a shell or a \.env file, put it into single quotes\)/],
  ['{}', /it must contain at least one preset/],
  ['{"original":9}', /it must not contain the name `original`/],
  [
    JSON.stringify(Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`p${index}`, 9]))),
    /at most 16 presets/,
  ],
])('rejects %s', (PRESETS, sentence) => {
  expect(listConfigProblems({ PRESETS })[0]).toMatch(sentence);
});

test('KEEP_METADATA applies to every preset', () => {
  const loadKinds = (KEEP_METADATA: string) =>
    loadConfig({ KEEP_METADATA }).presets.map(({ keepMetadata }) => keepMetadata.join());
  expect(loadKinds('AI, copyright')).toEqual(Array(3).fill('copyright,ai'));
  expect(loadKinds('none')).toEqual(['', '', '']);
  expect(listConfigProblems({ KEEP_METADATA: 'copyright,gps' })[0]).toMatch(
    /contains gps, which is not a kind of metadata\. Accepted: `none`, or a comma-separated list of copyright, credit, ai/,
  );
});

test('the settings of delivery have defaults and limits', () => {
  const { delivery, overload, retention } = loadConfig({});
  expect(delivery).toEqual({ placeholder: 'none', maxDerivedBytes: null });
  expect([overload.maxWaitingRenderings, retention.oldRenditionDays]).toEqual([200, 7]);
  const set = loadConfig({ PLACEHOLDER: 'Grey', DERIVED_MAX_BYTES: '50e9', OLD_RENDITIONS_KEEP_DAYS: '0' });
  expect(set.delivery).toEqual({ placeholder: 'grey', maxDerivedBytes: 50e9 });
  expect(set.retention.oldRenditionDays).toBe(0);
  expect(listConfigProblems({ PLACEHOLDER: 'white' })[0]).toMatch(/^PLACEHOLDER: .*`none`, `grey`/);
  expect(listConfigProblems({ DERIVED_MAX_BYTES: '0' })[0]).toMatch(/^DERIVED_MAX_BYTES: .*or `none`/);
  expect(listConfigProblems({ MAX_WAITING_RENDERINGS: '-1' })[0]).toMatch(/^MAX_WAITING_RENDERINGS: /);
});
