/** Examples for the OpenAPI document. A test validates them against their schemas. */

export const time = '2026-11-20T23:47:08.417Z';
export const uuid = '01a1fb5b-5201-72ab-9fbd-4c086fdee8fa';
const hash = 'aa8a3c7d3ddbae395d7a84826e4d6c5c6b4bd575e4a957393a4e4bf0f9f8df12';

const card = `/i/${uuid}/card`;

export const imageExample = {
  id: 15,
  uuid,
  tenant: 'my-shop',
  tenant_id: 2,
  status: 'completed',
  url: null,
  error: null,
  error_code: null,
  error_family: null,
  original_filename: 'MUG1002-teal_main.jpg',
  original_size_bytes: 54337,
  original_width: 1200,
  original_height: 1200,
  content_hash: hash,
  in_use_count: 1,
  near_duplicates: [
    {
      id: 9,
      uuid: '01a1fb5b-4c11-7d02-8a51-2f1c9d3b7e64',
      tier: 'reencoded' as const,
      verdict: null,
      edit: null,
      box: null,
      distance: 2,
      difference: 0.8,
      reason: 'the same colours in the same places',
    },
  ],
  renditions_reused_from: null,
  duplicate_of: null,
  damaged: false,
  metadata: { format: 'jpeg', color_space: 'RGB', frames: 1, has_alpha: false, bit_depth: 8 },
  facts: {
    sharpness: 92.3,
    exposure: { lightness: 51.4, clipped_shadows: 0, clipped_highlights: 0.0012 },
    background: { kind: 'white', color: '#ffffff', white_share: 1, plain_share: 1 },
    fill: 0.3127,
    product: { left: 0.2164, top: 0.2015, width: 0.597, height: 0.6119, span: 0.6119, off_centre: 0.0149 },
    borders: { left: 0, top: 0, right: 0, bottom: 0 },
    upscaled: false,
    compression: { jpeg_quality: 85, blockiness: 0.0612, heavy: false },
    grey: false,
  },
  warnings: [
    {
      code: 'min_span',
      limit: 0.8,
      value: 0.6119,
      message:
        'The fraction of the width or height that the product spans is 0.6119, but the rule min_span requires at least 0.8.',
    },
  ],
  created_at: time,
  updated_at: time,
  processed_at: time,
  focus: null,
  renditions: [
    {
      id: 42,
      preset: 'thumb',
      url: '/v1/images/01a1fb5b-4c11-7d02-8a51-2f1c9d3b7e64/renditions/thumb?v=c83c84ee0e',
      size_bytes: 2110,
      width: 100,
      height: 100,
      quality: 85,
      format: 'jpeg',
    },
  ],
  delivery: {
    card: {
      formats: {
        jpeg: `${card}.87125124bb.jpg`,
        webp: `${card}.5d0f7b1c2e.webp`,
        avif: `${card}.c3a9e04f61.avif`,
      },
      negotiated: card,
      width: 400,
      height: 400,
      srcset: `${card} 400w, ${card}@2x 800w`,
      srcsets: {
        jpeg: `${card}.87125124bb.jpg 400w, ${card}@2x.1f6ad2b903.jpg 800w`,
        webp: `${card}.5d0f7b1c2e.webp 400w, ${card}@2x.e81c40d7aa.webp 800w`,
        avif: `${card}.c3a9e04f61.avif 400w, ${card}@2x.09b7f3d5c8.avif 800w`,
      },
    },
  },
};

export const offerExample = {
  id: '0d4d9d3c-6f0e-4a35-9a4e-3f1c2d5b8a77',
  url: 'https://pictures.s3.eu-central-1.amazonaws.com/incoming/2/0d4d9d3c-6f0e-4a35-9a4e-3f1c2d5b8a77?X-Amz-Algorithm=AWS4-HMAC-SHA256',
  method: 'PUT' as const,
  headers: { 'Content-Length': '54337', 'x-amz-meta-filename': 'MUG1002-teal_main.jpg' },
  expires_at: time,
  max_bytes: 10_485_760,
};

const lineExample = {
  line: 2,
  url: 'ftp://example.com/mug.jpg',
  tenant: 'my-shop',
  reference: null,
  outcome: 'refused',
  image_id: null,
  code: 'invalid_url',
  family: null,
  error: 'The URL begins with ftp:, but only http: and https: URLs can be imported.',
};
export const receiptExample = {
  id: 3,
  uuid,
  created_at: time,
  total: 2,
  accepted: 1,
  refused: 1,
  lines: [
    {
      line: 1,
      url: 'https://example.com/mug.jpg',
      tenant: 'my-shop',
      reference: 'product-42',
      outcome: 'new',
      image_id: 15,
      code: null,
      family: null,
      error: null,
    },
    lineExample,
  ],
  url: '/v1/imports/3',
};
export const progressExample = {
  id: 3,
  uuid,
  created_at: time,
  finished: true,
  total: 2,
  refused: 1,
  images: { pending: 0, processing: 0, completed: 1, failed: 0 },
  failures: [lineExample],
  failures_total: 1,
  limit: 100,
  offset: 0,
  url: '/v1/imports/3',
};

export const jobExample = {
  id: 17,
  kind: 'import',
  state: 'failed',
  image_id: 15,
  tenant: 'my-shop',
  content_hash: null,
  priority: 50,
  retries: 3,
  crashes: 0,
  lease_losses: 0,
  failure_class: 'transient',
  failure_stage: 'fetch',
  code: 'source_unavailable',
  family: null,
  error: 'The server returned status 503 instead of an image.',
  created_at: time,
  run_at: time,
  started_at: time,
  finished_at: time,
};
export const jobWithHistoryExample = {
  ...jobExample,
  history: [
    {
      at: time,
      failure_class: 'transient',
      stage: 'fetch',
      code: 'source_unavailable',
      family: null,
      error: 'The server returned status 503 instead of an image.',
    },
  ],
};

export const trialsExample = {
  results: [
    {
      preset: 'card',
      size_bytes: 13442,
      width: 400,
      height: 400,
      quality_metric: 0.9561,
      formats: [
        { format: 'jpeg', size_bytes: 13442, quality_metric: 0.9561 },
        { format: 'webp', size_bytes: 8907, quality_metric: 0.9563 },
        { format: 'avif', size_bytes: 7166, quality_metric: 0.9565 },
      ],
    },
  ],
  recommended: 'card',
};
export const comparisonExample = {
  id: 15,
  uuid,
  comparisons: [
    {
      name: 'card',
      size_bytes: 13442,
      width: 400,
      height: 400,
      psnr_db: 36.41,
      ssim: 0.9561,
      perceptual_hash_distance: 1,
      note: 'good quality; very similar image',
    },
  ],
  note: 'PSNR: above 40 dB is excellent, …',
};
export const purgeUnusedExample = {
  dry_run: true,
  candidates: [hash],
  candidates_total: 1,
  deleted_count: 0,
  deleted_bytes: 0,
  deleted_files: 0,
  remaining: 0,
  images: [{ id: 15, uuid, tenant: 'my-shop', content_hash: hash, size_bytes: 54337, created_at: time }],
  warnings: ['The tenant "my-shop" has never used references, so every one of its images is a candidate.'],
  errors: null,
};
export const usageExample = {
  tenant: 'my-shop',
  tenant_id: 2,
  images: 16,
  renditions: 48,
  original_bytes: 1_282_750,
  rendition_bytes: 1_058_423,
  total_bytes: 2_341_173,
  bytes_per_preset: { thumb: 34577, card: 175979, zoom: 847867 },
  bytes_per_format: { jpeg: 1_058_423 },
  status_counts: { pending: 0, processing: 0, completed: 16, failed: 0 },
  deleted_images: 2,
  deleted_bytes: 292_646,
  imports_today: 4,
  quotas: { images: 10_000, bytes: null, imports_per_day: 500 },
};

const defaultSettingsExample = {
  delivery: 'signed',
  intake_rules: {},
  quota_images: null,
  quota_bytes: null,
  quota_imports_per_day: 500,
};
const ownSettingsExample = {
  delivery: 'public',
  intake_rules: {
    min_sharpness: { action: 'reject', limit: 20 },
    min_white_share: { action: 'warn', limit: 0.9 },
    no_borders: { action: 'warn' },
  },
  quota_images: 10_000,
};

export const tenantSettingsExample = {
  tenant: 'my-shop',
  tenant_id: 2,
  own: ownSettingsExample,
  defaults: defaultSettingsExample,
  effective: { ...defaultSettingsExample, ...ownSettingsExample },
};
