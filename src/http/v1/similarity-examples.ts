import { time, uuid } from './examples.ts';

export const imageSummaryExample = {
  id: 9,
  uuid: '01a1fb5b-4c11-7d02-8a51-2f1c9d3b7e64',
  tenant: 'my-shop',
  status: 'completed',
  original_filename: 'MUG1002-teal_back.jpg',
  original_width: 1200,
  original_height: 1200,
  content_hash: '003ab6722a82345129dbc2be4745defc7a5083143204dfb3d03fd2931aa897ee',
  created_at: time,
  url: '/v1/images/01a1fb5b-4c11-7d02-8a51-2f1c9d3b7e64',
  thumbnail_url: '/v1/images/01a1fb5b-4c11-7d02-8a51-2f1c9d3b7e64/thumbnail',
};
export const similarExample = {
  ...imageSummaryExample,
  score: 0.91,
  explanation: { parts: { colour: 0.12, shape: 0.84 }, via: null },
};
export const pairExample = {
  tier: 'reencoded' as const,
  verdict: null,
  edit: null,
  box: null,
  distance: 2,
  difference: 0.8,
  reason: 'the same colours in the same places',
};
export const duplicateExample = { ...imageSummaryExample, kind: 'near', ...pairExample };
export const verdictExample = {
  image: { id: 15, uuid },
  other: { id: 9, uuid: imageSummaryExample.uuid },
  verdict: 'different' as const,
  decided_by: 'key 60e2ad0bdd0ac7fb (shop editors)',
  decided_at: time,
};
const memberExample = {
  ...imageSummaryExample,
  original_format: 'jpeg',
  original_size_bytes: 54_337,
  in_use_count: 1,
  damaged: false,
};
export const groupExample = {
  id: 4,
  tenant: 'my-shop',
  tier: 'reencoded' as const,
  image_count: 2,
  images: [
    { ...memberExample, match: null },
    { ...memberExample, id: 15, uuid, original_width: 600, original_height: 600, match: pairExample },
  ],
  keeper: { id: 9, reason: 'the most pixels (1200 × 1200)' },
};
export const resolutionExample = {
  group: 4,
  kept: { id: 9, uuid: imageSummaryExample.uuid, in_use_count: 2 },
  discarded: [{ id: 15, uuid, references_moved: 1, outcome: 'deleted' as const }],
};
