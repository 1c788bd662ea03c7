import { enableCompileCache } from 'node:module';

// Files that this process and its children create are private, regardless of the shell's umask.
process.umask(0o077);
// The cache keeps compiled code between starts. It must be enabled before other modules are loaded.
enableCompileCache();
// The environment is read before other modules are loaded, because reading it may re-execute the program.
const { readEnvironment } = await import('./cli/environment.ts');
const environment = readEnvironment();
// By default, SIGUSR1 opens Node's debugger, through which a compromised decoder process could run code in this process.
// `--inspect` still works.
process.on('SIGUSR1', () => undefined);
const { run } = await import('./cli/run.ts');
process.exitCode = await run(process.argv.slice(2), environment);
