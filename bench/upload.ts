/** Uploads one picture and returns the time until the response, in milliseconds. */
export async function upload(baseUrl: string, path: string, jpeg: Buffer, tenant: string): Promise<number> {
  const form = new FormData();
  form.set('file', new Blob([new Uint8Array(jpeg)], { type: 'image/jpeg' }), 'bench.jpg');
  // The APIs use different names for the tenant field.
  form.set('tenant', tenant);
  form.set('tenant_name', tenant);
  const startedAt = performance.now();
  const response = await fetch(baseUrl + path, { method: 'POST', body: form });
  const body = await response.text();
  if (response.status !== 201 && response.status !== 200)
    throw new Error(`${path} returned ${response.status}: ${body.slice(0, 300)}`);
  return performance.now() - startedAt;
}

/** Returns the median, or 0 if there are no numbers. */
export function median(numbers: readonly number[]): number {
  const sortedNumbers = numbers.toSorted((a, b) => a - b);
  return sortedNumbers[Math.floor(sortedNumbers.length / 2)] ?? 0;
}
