import { spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';

// A checkout runs its TypeScript source. Only a package for publishing is compiled: Node strips no types below
// node_modules.
rmSync('dist', { recursive: true, force: true });
const { status } = spawnSync('tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' });
if (status === 0) cpSync('src/db/migrations', 'dist/db/migrations', { recursive: true });
process.exitCode = status ?? 1;
