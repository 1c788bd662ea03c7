import type { Results } from './phases.ts';
import { percentile, summarize } from './statistics.ts';

const width = 800;
const height = 320;
const margin = { top: 30, right: 20, bottom: 40, left: 74 };

/**
 * Draws the response times of accepted and refused uploads before, during and after the overload, by second, as SVG. Both are
 * 99th percentiles, on a logarithmic scale.
 */
export function drawPlot({ normal, overload, recovery }: Results): string {
  const phases = [normal, overload, recovery];
  const points: { second: number; accepted: number; refused: number }[] = [];
  const starts: { second: number; name: string }[] = [];
  let offset = 0;
  for (const { name, samples } of phases) {
    starts.push({ second: offset, name });
    const bySecond = Map.groupBy(samples, ({ at }) => Math.floor(at / 1000));
    for (const [second, inSecond] of [...bySecond].toSorted(([a], [b]) => a - b)) {
      const { accepted, refused } = summarize(inSecond);
      points.push({
        second: offset + second,
        accepted: percentile(accepted, 0.99),
        refused: percentile(refused, 0.99),
      });
    }
    offset += Math.max(...bySecond.keys()) + 1;
  }
  const x = (second: number) => margin.left + (second / offset) * (width - margin.left - margin.right);
  const y = (ms: number) =>
    height - margin.bottom - (Math.log10(Math.max(1, ms)) / 4) * (height - margin.top - margin.bottom);
  const line = (field: 'accepted' | 'refused', colour: string) =>
    `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${points
      .filter((point) => Number.isFinite(point[field]))
      .map((point) => `${x(point.second).toFixed(1)},${y(point[field]).toFixed(1)}`)
      .join(' ')}"/>`;
  const ticks = [1, 10, 100, 1_000, 10_000].map(
    (ms) =>
      `<line x1="${margin.left}" x2="${width - margin.right}" y1="${y(ms)}" y2="${y(ms)}" stroke="#ddd"/><text x="${margin.left - 6}" y="${y(ms) + 4}" text-anchor="end">${ms} ms</text>`,
  );
  const labels = starts.map(
    ({ second, name }) =>
      `<line x1="${x(second)}" x2="${x(second)}" y1="${margin.top}" y2="${height - margin.bottom}" stroke="#999" stroke-dasharray="4"/><text x="${x(second) + 4}" y="${margin.top - 8}">${name}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="#333">
<rect width="${width}" height="${height}" fill="#fff"/>
${[...ticks, ...labels].join('\n')}
${line('accepted', '#1f77b4')}
${line('refused', '#d62728')}
<text x="${margin.left}" y="${height - 12}" fill="#1f77b4">accepted uploads, 99th percentile per second</text>
<text x="${margin.left + 330}" y="${height - 12}" fill="#d62728">503 responses, 99th percentile per second</text>
</svg>
`;
}
