import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/announce-services.ts'],
    pool: 'forks',
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Tests of processes, sockets and memory share their machine with others. A test that passes only the second time is
    // listed with its retries; one that fails twice fails.
    retry: 1,
    reporters: ['default'],
    // `npm run coverage`. What runs in processes of its own (commands, decoder children) is not seen by it.
    coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['text', 'html'] },
  },
});
