import { runVitrine } from './command.ts';

/** Creates an API key with `vitrine keys create`, with the settings of a server. Returns the key. */
export async function createKey(env: Record<string, string>, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runVitrine(
    ['keys', 'create', '--name', 'test', '--json', ...args],
    env,
  );
  if (code !== 0) throw new Error(`The key was not created (exit code ${code}):\n${stderr}`);
  return (JSON.parse(stdout) as { key: string }).key;
}

/** Options of a request that sends a key. */
export const withKey = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
