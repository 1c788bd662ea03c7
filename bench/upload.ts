/** Sends one picture and waits for the answer; answers the milliseconds. `path` takes the tenant as `tenant` or `tenant_name`. */
export async function upload(baseUrl: string, path: string, jpeg: Buffer, tenant: string): Promise<number> {
  const form = new FormData();
  form.set('file', new Blob([new Uint8Array(jpeg)], { type: 'image/jpeg' }), 'bench.jpg');
  form.set('tenant', tenant);
  form.set('tenant_name', tenant);
  const began = performance.now();
  const response = await fetch(baseUrl + path, { method: 'POST', body: form });
  const body = await response.text();
  if (response.status !== 201 && response.status !== 200)
    throw new Error(`${path} was answered with ${response.status}: ${body.slice(0, 300)}`);
  return performance.now() - began;
}

/** The middle of some numbers. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
