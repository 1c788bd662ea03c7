import { enableCompileCache } from 'node:module';

// Files of this process and of its children are its user's alone, whatever the shell was set to.
process.umask(0o077);
// Before anything else is loaded: stripped types and compiled code are kept between starts.
enableCompileCache();
const { run } = await import('./cli/run.ts');
process.exitCode = await run(process.argv.slice(2));
