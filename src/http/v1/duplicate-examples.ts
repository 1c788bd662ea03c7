import { time, uuid } from './examples.ts';
import { imageSummaryExample, pairExample } from './similarity-examples.ts';

/** Examples of verdicts and groups for the OpenAPI document. */

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
