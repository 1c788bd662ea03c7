import { decoderFloor, installedDecoder } from '../../imaging/decoder-floor.ts';
import { isAtLeast } from '../../version.ts';
import { version } from '../../version.ts';
import type { Finding } from './finding.ts';

/** Node below this prints warnings about type stripping, or cannot do it. */
const nodeFloor = '24.12.0';

/** Vitrine's own version, Node's, and that of the image library. */
export function checkVersions(): Finding[] {
  const node = process.versions.node;
  const decoder = installedDecoder();
  return [
    { subject: 'Vitrine', state: version },
    {
      subject: 'Node',
      state: `${node} (needs ${nodeFloor})`,
      remedy: isAtLeast(node, nodeFloor)
        ? undefined
        : 'Install a newer Node, or use the npm scripts: npm brings its own.',
    },
    {
      subject: 'decoder',
      state: `sharp ${decoder} (needs ${decoderFloor.version})`,
      remedy: isAtLeast(decoder, decoderFloor.version) ? undefined : `Run npm ci: ${decoderFloor.reason}`,
    },
  ];
}
