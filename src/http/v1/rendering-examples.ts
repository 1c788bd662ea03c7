// Examples of re-renderings in the OpenAPI document.

export const renderingExample = {
  id: 3,
  kind: 'rendering',
  presets: ['card'],
  tenant: null,
  state: 'running',
  total: 2000,
  done: 640,
  skipped: 3,
  failed: 1,
  done_per_minute: 320,
  remaining_seconds: 255,
  created_by: 'key 60e2ad0bdd0ac7fb (operations)',
  created_at: '2026-11-20T23:47:08.417Z',
  finished_at: null,
};
export const renderingWithFailuresExample = {
  ...renderingExample,
  failures: [
    {
      job_id: 91,
      image_id: 15,
      code: 'original_missing',
      error: 'The file is missing from storage.',
    },
  ],
};
export const renderingStartExample = {
  estimate: {
    images: 2000,
    files: [{ preset: 'card', format: 'jpeg', files: 2000, bytes: 26_884_000 }],
    bytes: 26_884_000,
    work_seconds: 412.5,
  },
  rendering: {
    ...renderingExample,
    done: 0,
    skipped: 0,
    failed: 0,
    done_per_minute: 0,
    remaining_seconds: null,
  },
};
export const reindexingStartExample = {
  images: 2000,
  reindexing: {
    ...renderingExample,
    id: 4,
    kind: 'reindexing',
    presets: [],
    done: 0,
    skipped: 0,
    failed: 0,
    done_per_minute: 0,
    remaining_seconds: null,
  },
};
