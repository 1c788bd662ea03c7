import { spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';

// Compiles the package for publishing, because Node does not strip types in node_modules. A checkout runs the TypeScript
// source directly.
rmSync('dist', { recursive: true, force: true });
const { status } = spawnSync('tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' });
if (status === 0) cpSync('src/db/migrations', 'dist/db/migrations', { recursive: true });
process.exitCode = status ?? 1;
