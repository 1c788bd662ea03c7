import { enableCompileCache } from 'node:module';

// Files of this process and its children are private to its user, regardless of the shell's umask.
process.umask(0o077);
// Before anything else is loaded: stripped types and compiled code are kept between starts.
enableCompileCache();
// Before loading the rest: it may re-execute the program, and the first run should cost little.
const { readEnvironment } = await import('./cli/environment.ts');
const environment = readEnvironment();
// This signal would open Node's debugger, and a compromised decoder child may send it: the child could then run code in
// this process. `--inspect` is not affected.
process.on('SIGUSR1', () => undefined);
const { run } = await import('./cli/run.ts');
process.exitCode = await run(process.argv.slice(2), environment);
