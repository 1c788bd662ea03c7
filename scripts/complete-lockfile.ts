import { readFileSync, writeFileSync } from 'node:fs';

/**
 * Adds missing entries for platform-specific packages to the lockfile. The platform is derived from the package name.
 * npm omits an entry if the registry does not have the package, and `npm ci` then rejects the lockfile on every
 * machine. With `--check`, only reports missing entries.
 */

interface LockEntry {
  version?: string;
  dev?: boolean;
  optionalDependencies?: Record<string, string>;
}

const path = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(path, 'utf8')) as { packages: Record<string, LockEntry> };
const systems = new Set(['android', 'darwin', 'linux', 'freebsd', 'win32', 'openharmony']);
const processors = new Set(['arm', 'arm64', 'x64', 'ia32', 'ppc64', 'riscv64', 's390x', 'wasm32', 'loong64']);

function findMissingEntries(): [string, object][] {
  return Object.values(lock.packages).flatMap(({ optionalDependencies = {}, dev }) =>
    Object.entries(optionalDependencies)
      .filter(([name, version]) => !lock.packages[`node_modules/${name}`] && /^\d/.test(version))
      .map(([name, version]): [string, object] => [`node_modules/${name}`, makeEntry(name, version, dev)]),
  );
}

function makeEntry(name: string, version: string, dev: boolean | undefined): object {
  const nameParts = name.replace(/^@[^/]+\//, '').split('-');
  const cpu = nameParts.find((part) => processors.has(part));
  const os = nameParts.find((part) => systems.has(part));
  return {
    version,
    ...(cpu && { cpu: [cpu] }),
    ...(dev && { dev }),
    ...(name.includes('musl') && { libc: ['musl'] }),
    optional: true,
    ...(os && { os: [os] }),
  };
}

const missingEntries = findMissingEntries();
const missingNames = missingEntries.map(([key]) => key.replace('node_modules/', ''));
if (missingEntries.length > 0 && process.argv.includes('--check')) {
  console.error(`package-lock.json lacks ${missingNames.join(', ')}. Run: node scripts/complete-lockfile.ts`);
  process.exitCode = 1;
} else if (missingEntries.length > 0) {
  const { '': root, ...dependencies } = { ...lock.packages, ...Object.fromEntries(missingEntries) };
  const sortedEntries = Object.entries(dependencies).toSorted(([a], [b]) => a.localeCompare(b, 'en'));
  const packages = { '': root, ...Object.fromEntries(sortedEntries) };
  writeFileSync(path, `${JSON.stringify({ ...lock, packages }, null, 2)}\n`);
  console.log(`Added ${missingNames.length} ${missingNames.length === 1 ? 'entry' : 'entries'}.`);
}
