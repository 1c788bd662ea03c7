import { setTimeout as sleep } from 'node:timers/promises';
import { type ApiClient, ServerFailure } from '../api-client.ts';
import type { JobState } from '../../model/job.ts';

/** State of an uploaded image, as far as an import wants to know it. */
export interface ImageState {
  readonly id: number;
  readonly status: JobState;
  readonly error: string | null;
}

const firstPollMs = 200;
const slowestPollMs = 2000;
const patienceMs = 10 * 60_000;

/** Polls until the image is `completed` or `failed`; retries on the server's side make that up to a minute. */
export async function waitUntilSettled(
  client: Pick<ApiClient, 'getImage'>,
  uploaded: ImageState,
  signal?: AbortSignal,
): Promise<ImageState> {
  const deadline = performance.now() + patienceMs;
  let image = uploaded;
  for (let wait = firstPollMs; !isSettled(image); wait = Math.min(wait * 1.5, slowestPollMs)) {
    if (performance.now() > deadline)
      throw new ServerFailure('The server has it, but is still working on it.');
    await sleep(wait, undefined, { signal });
    image = await client.getImage(image.id, signal);
  }
  return image;
}

function isSettled({ status }: ImageState): boolean {
  return status === 'completed' || status === 'failed';
}
