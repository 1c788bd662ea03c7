import { setTimeout as sleep } from 'node:timers/promises';

/** Uploads one picture and returns the time until the response, in milliseconds. */
export async function upload(baseUrl: string, path: string, jpeg: Buffer, tenant: string): Promise<number> {
  const { response, body, ms } = await send(baseUrl, path, jpeg, tenant);
  assertUploaded(path, response, body);
  return ms;
}

/** Works like `upload`, but waits and tries again while the server is overloaded. Returns the time of the last attempt. */
export async function uploadPatiently(
  baseUrl: string,
  path: string,
  jpeg: Buffer,
  tenant: string,
): Promise<{ readonly ms: number; readonly refusals: number }> {
  for (let refusals = 0; ; refusals++) {
    const { response, body, ms } = await send(baseUrl, path, jpeg, tenant);
    const retryAfter = Number(response.headers.get('retry-after'));
    if (response.status === 503 && retryAfter > 0) {
      await sleep(retryAfter * 1_000);
      continue;
    }
    assertUploaded(path, response, body);
    return { ms, refusals };
  }
}

async function send(baseUrl: string, path: string, jpeg: Buffer, tenant: string) {
  const form = new FormData();
  form.set('file', new Blob([new Uint8Array(jpeg)], { type: 'image/jpeg' }), 'bench.jpg');
  // The APIs use different names for the tenant field.
  form.set('tenant', tenant);
  form.set('tenant_name', tenant);
  const startedAt = performance.now();
  const response = await fetch(baseUrl + path, { method: 'POST', body: form });
  const body = await response.text();
  return { response, body, ms: performance.now() - startedAt };
}

function assertUploaded(path: string, { status }: Response, body: string): void {
  if (status !== 201 && status !== 200) throw new Error(`${path} returned ${status}: ${body.slice(0, 300)}`);
}

/** Returns the median, or 0 if there are no numbers. */
export function median(numbers: readonly number[]): number {
  const sortedNumbers = numbers.toSorted((a, b) => a - b);
  return sortedNumbers[Math.floor(sortedNumbers.length / 2)] ?? 0;
}
