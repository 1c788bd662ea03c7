import { spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';

// Compiles the package for publishing, because Node strips no types in node_modules. A checkout runs its TypeScript
// source.
rmSync('dist', { recursive: true, force: true });
const { status } = spawnSync('tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' });
if (status === 0) cpSync('src/db/migrations', 'dist/db/migrations', { recursive: true });
process.exitCode = status ?? 1;
