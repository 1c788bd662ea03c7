import { enableCompileCache } from 'node:module';

// Keeps files that this process and its children create private, regardless of the shell's umask.
process.umask(0o077);
// Must run before anything else is loaded. Caches stripped types and compiled code between starts.
enableCompileCache();
// Runs before the rest is loaded: it may re-execute the program, so the first execution should cost little.
const { readEnvironment } = await import('./cli/environment.ts');
const environment = readEnvironment();
// Disables SIGUSR1, which opens Node's debugger: a compromised decoder child could send it and then run code in this
// process. `--inspect` still works.
process.on('SIGUSR1', () => undefined);
const { run } = await import('./cli/run.ts');
process.exitCode = await run(process.argv.slice(2), environment);
