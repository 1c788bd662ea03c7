import { defineConfig } from 'vitest/config';
export default defineConfig({ test: { include: ['test/examples/**/*.test.ts'], pool: 'forks', testTimeout: 240_000, hookTimeout: 400_000, reporters: ['default'] } });
