/** A measured curve: points of (size, milliseconds). */
export interface Curve {
  readonly name: string;
  readonly colour: string;
  readonly points: readonly (readonly [size: number, ms: number])[];
}

const width = 800;
const height = 320;
const margin = { top: 20, right: 230, bottom: 44, left: 60 };

/** Draws 95th percentiles by the number of stored items, as SVG. Both axes are logarithmic. */
export function drawPlot(curves: readonly Curve[]): string {
  const sizes = curves.flatMap(({ points }) => points.map(([size]) => size));
  const [smallest, largest] = [Math.min(...sizes), Math.max(...sizes)];
  const span = Math.max(1e-9, Math.log(largest / smallest));
  const x = (size: number) =>
    margin.left + (Math.log(size / smallest) / span) * (width - margin.left - margin.right);
  const y = (ms: number) =>
    height -
    margin.bottom -
    (Math.log10(Math.max(0.5, ms) / 0.5) / 2.3) * (height - margin.top - margin.bottom);
  const levels = [1, 3, 10, 30, 100].map(
    (ms) =>
      `<line x1="${margin.left}" x2="${width - margin.right}" y1="${y(ms).toFixed(1)}" y2="${y(ms).toFixed(1)}" stroke="#ddd"/><text x="${margin.left - 6}" y="${(y(ms) + 4).toFixed(1)}" text-anchor="end">${ms} ms</text>`,
  );
  const ticks = [...new Set(sizes)].map(
    (size) =>
      `<text x="${x(size).toFixed(1)}" y="${height - margin.bottom + 18}" text-anchor="middle">${size.toLocaleString('en')}</text>`,
  );
  const lines = curves.map(({ name, colour, points }, index) => {
    const path = points.map(([size, ms]) => `${x(size).toFixed(1)},${y(ms).toFixed(1)}`).join(' ');
    return `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${path}"/>
<text x="${width - margin.right + 14}" y="${margin.top + 20 + 20 * index}" fill="${colour}">${name}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="#333">
<rect width="${width}" height="${height}" fill="#fff"/>
${[...levels, ...ticks, ...lines].join('\n')}
<text x="${margin.left}" y="${height - 8}">95th percentile by the number of stored hashes or vectors</text>
</svg>
`;
}
