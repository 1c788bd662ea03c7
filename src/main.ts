import { enableCompileCache } from 'node:module';

// Keeps the files of this process and its children private, regardless of the shell's umask.
process.umask(0o077);
// Before anything else is loaded: caches stripped types and compiled code between starts.
enableCompileCache();
// Before the rest is loaded: this may re-execute the program, so the first run should cost little.
const { readEnvironment } = await import('./cli/environment.ts');
const environment = readEnvironment();
// SIGUSR1 opens Node's debugger. A compromised decoder child could send it and then run code in this process. `--inspect`
// is not affected.
process.on('SIGUSR1', () => undefined);
const { run } = await import('./cli/run.ts');
process.exitCode = await run(process.argv.slice(2), environment);
