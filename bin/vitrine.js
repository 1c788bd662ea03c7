#!/usr/bin/env node
// This file is plain JavaScript, so that old versions of Node can run it and report that they are too old.
import { existsSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 12)) {
  process.stderr.write(
    `Vitrine needs Node 24.12 or newer; this is ${process.versions.node}.\nIn a checkout, "npx vitrine" and the npm scripts use the Node that "npm ci" installed; elsewhere, install a newer Node.\n`,
  );
  process.exit(1);
}
// A checkout runs its TypeScript source. The published package is compiled, because Node does not strip types in
// node_modules.
const source = new URL('../src/main.ts', import.meta.url);
const compiled = new URL('../dist/main.js', import.meta.url);
const isPublished = fileURLToPath(import.meta.url).includes('node_modules');
await import((isPublished && existsSync(compiled) ? compiled : source).href);
