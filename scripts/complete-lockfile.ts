import { readFileSync, writeFileSync } from 'node:fs';

/**
 * npm leaves a platform's package out of the lockfile when the registry that it asked does not carry it, and then
 * `npm ci` refuses that lockfile everywhere. This adds such entries, with what their names tell of the platform.
 * With `--check` it only looks.
 */

interface Entry {
  version?: string;
  dev?: boolean;
  optionalDependencies?: Record<string, string>;
}

const path = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(path, 'utf8')) as { packages: Record<string, Entry> };
const systems = new Set(['android', 'darwin', 'linux', 'freebsd', 'win32', 'openharmony']);
const processors = new Set(['arm', 'arm64', 'x64', 'ia32', 'ppc64', 'riscv64', 's390x', 'wasm32', 'loong64']);

function missingEntries(): [string, object][] {
  return Object.values(lock.packages).flatMap(({ optionalDependencies = {}, dev }) =>
    Object.entries(optionalDependencies)
      .filter(([name, version]) => !lock.packages[`node_modules/${name}`] && /^\d/.test(version))
      .map(([name, version]): [string, object] => [`node_modules/${name}`, describe(name, version, dev)]),
  );
}

function describe(name: string, version: string, dev: boolean | undefined): object {
  const words = name.replace(/^@[^/]+\//, '').split('-');
  const cpu = words.find((word) => processors.has(word));
  const os = words.find((word) => systems.has(word));
  return {
    version,
    ...(cpu && { cpu: [cpu] }),
    ...(dev && { dev }),
    ...(name.includes('musl') && { libc: ['musl'] }),
    optional: true,
    ...(os && { os: [os] }),
  };
}

const missing = missingEntries();
const names = missing.map(([key]) => key.replace('node_modules/', ''));
if (missing.length > 0 && process.argv.includes('--check')) {
  console.error(`package-lock.json lacks ${names.join(', ')}. Run: node scripts/complete-lockfile.ts`);
  process.exitCode = 1;
} else if (missing.length > 0) {
  const { '': root, ...rest } = { ...lock.packages, ...Object.fromEntries(missing) };
  const sorted = Object.entries(rest).toSorted(([a], [b]) => a.localeCompare(b, 'en'));
  const packages = { '': root, ...Object.fromEntries(sorted) };
  writeFileSync(path, `${JSON.stringify({ ...lock, packages }, null, 2)}\n`);
  console.log(`added ${names.length} entries`);
}
