import { enableCompileCache } from 'node:module';

// Before anything else is loaded: stripped types and compiled code are kept between starts.
enableCompileCache();
const { run } = await import('./cli/run.ts');
process.exitCode = await run(process.argv.slice(2));
