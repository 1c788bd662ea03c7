import type { FastifyReply, FastifyRequest } from 'fastify';
import Negotiator from 'negotiator';
import type { ServedMetrics } from '../telemetry/metrics.ts';

/** What each media type in `Accept` means for an address that serves both people and scrapers. */
const meanings: Readonly<Record<string, 'text' | 'json'>> = {
  'text/plain': 'text',
  'application/openmetrics-text': 'text',
  'application/json': 'json',
  'text/html': 'json',
  'application/*': 'json',
  '*/*': 'json',
};

/** Whether a client would rather have the text for Prometheus than JSON: what it names first decides. */
export function wantsMetricsText({ headers }: FastifyRequest): boolean {
  const types = new Negotiator({ headers: { accept: headers.accept } }).mediaTypes();
  const known = types.find((type) => Object.hasOwn(meanings, type.toLowerCase()));
  return known !== undefined && meanings[known.toLowerCase()] === 'text';
}

/** Sends the figures for Prometheus. */
export async function replyMetricsText(reply: FastifyReply, metrics: ServedMetrics): Promise<FastifyReply> {
  const { contentType, text } = await metrics.render();
  return reply.header('content-type', contentType).header('cache-control', 'no-store').send(text);
}
