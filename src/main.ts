import { enableCompileCache } from 'node:module';

// Files of this process and of its children are its user's alone, whatever the shell was set to.
process.umask(0o077);
// Before anything else is loaded: stripped types and compiled code are kept between starts.
enableCompileCache();
// Before the rest is loaded: it may start the program once more, and the first start should cost little.
const { readEnvironment } = await import('./cli/environment.ts');
const environment = readEnvironment();
// Node would open its debugger on this signal, and a decoder child that a picture took over may send it: the child could
// then run code in this process. `--inspect` works as always.
process.on('SIGUSR1', () => undefined);
const { run } = await import('./cli/run.ts');
process.exitCode = await run(process.argv.slice(2), environment);
