import type { KeptMetadata } from './kept-metadata.ts';

const namespaces = {
  dc: 'http://purl.org/dc/elements/1.1/',
  photoshop: 'http://ns.adobe.com/photoshop/1.0/',
  iptcExt: 'http://iptc.org/std/Iptc4xmpExt/2008-02-29/',
} as const;

/** Rights in an XMP packet. The texts are not cleaned yet. */
export interface XmpRights {
  readonly creators: readonly string[];
  readonly credit?: string;
  readonly copyright?: string;
  readonly digitalSourceType?: string;
}

/** Longer packets contain edit histories. Only their beginning is searched. */
const maxPacketLength = 2 ** 22;
const maxCreators = 20;
/** Packets have one prefix for each namespace. Each further prefix costs a search. */
const maxPrefixes = 4;

/**
 * Reads creators, credit line, copyright notice and digital source type from an XMP packet. Searches for these properties
 * instead of parsing the packet, because it may be malformed. Entities that a document type declares are not expanded.
 */
export function readXmpRights(block: Uint8Array): XmpRights {
  const length = Math.min(block.byteLength, maxPacketLength);
  const packet = removeComments(Buffer.from(block.buffer, block.byteOffset, length).toString('utf8'));
  const rights = readProperty(packet, namespaces.dc, 'rights');
  const credit = readProperty(packet, namespaces.photoshop, 'Credit');
  const sourceType = readProperty(packet, namespaces.iptcExt, 'DigitalSourceType');
  return {
    creators: readProperty(packet, namespaces.dc, 'creator').slice(0, maxCreators),
    ...(credit[0] !== undefined && { credit: credit[0] }),
    ...(rights[0] !== undefined && { copyright: rights[0] }),
    ...(sourceType[0] !== undefined && { digitalSourceType: sourceType[0] }),
  };
}

/** Removes comments, which could hide the end of an element. A regular expression would take quadratic time. */
function removeComments(packet: string): string {
  const parts: string[] = [];
  let offset = 0;
  for (;;) {
    const start = packet.indexOf('<!--', offset);
    parts.push(packet.slice(offset, start < 0 ? undefined : start));
    const end = start < 0 ? -1 : packet.indexOf('-->', start);
    if (end < 0) return parts.join('');
    offset = end + 3;
  }
}

/** Returns the values of a property, which is an attribute, an element, or an element with a list. */
function readProperty(packet: string, namespace: string, name: string): string[] {
  for (const prefix of findPrefixes(packet, namespace)) {
    const attribute = new RegExp(`\\s${prefix}:${name}\\s*=\\s*(?:"([^"<]*)"|'([^'<]*)')`).exec(packet);
    if (attribute) return [decodeEntities(attribute[1] ?? attribute[2] ?? '')];
    const start = new RegExp(`<${prefix}:${name}(?=[\\s/>])([^<>]*)>`).exec(packet);
    if (!start) continue;
    const resource = /\srdf:resource\s*=\s*(?:"([^"]*)"|'([^']*)')/.exec(start[1] ?? '');
    if (resource) return [decodeEntities(resource[1] ?? resource[2] ?? '')];
    const contentStart = start.index + start[0].length;
    const end = packet.indexOf(`</${prefix}:${name}`, contentStart);
    if (end < 0 || start[0].endsWith('/>')) continue;
    return readValues(packet.slice(contentStart, end));
  }
  return [];
}

function findPrefixes(packet: string, namespace: string): Set<string> {
  const declarations = packet.matchAll(/\sxmlns:([A-Za-z_][\w.-]*)\s*=\s*(?:"([^"]*)"|'([^']*)')/g);
  const prefixes = new Set<string>();
  for (const [, prefix = '', inDoubleQuotes, inSingleQuotes] of declarations) {
    if (prefixes.size === maxPrefixes) break;
    if ((inDoubleQuotes ?? inSingleQuotes) === namespace) prefixes.add(prefix.replaceAll(/[.-]/g, '\\$&'));
  }
  return prefixes;
}

/** Returns the items of a list, with the one for the default language first; or the text of an element without a list. */
function readValues(content: string): string[] {
  const items = [...content.matchAll(/<rdf:li(?=[\s>])([^<>]*)>([^<]*)</g)].map(
    ([, attributes = '', text = '']) => ({ isDefault: attributes.includes('x-default'), text }),
  );
  if (items.length === 0) return content.includes('<') ? [] : [decodeEntities(content)];
  const sorted = items.toSorted((a, b) => Number(b.isDefault) - Number(a.isDefault));
  return sorted.map(({ text }) => decodeEntities(text));
}

const namedEntities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

function decodeEntities(text: string): string {
  return text.replaceAll(/&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(\w{1,8}));/g, (entity, ...groups) => {
    const [decimal, hexadecimal, name] = groups as (string | undefined)[];
    if (name !== undefined) return namedEntities[name] ?? entity;
    const code = decimal === undefined ? Number.parseInt(hexadecimal ?? '', 16) : Number(decimal);
    return code <= 0x10_ff_ff ? String.fromCodePoint(code) : '';
  });
}

/** Writes a packet with only the given metadata. */
export function writeXmp({ creators, credit, copyright, digitalSourceType }: KeptMetadata): string {
  const list = (kind: string, items: readonly string[], attributes = '') =>
    `<rdf:${kind}>${items.map((item) => `<rdf:li${attributes}>${escapeXml(item)}</rdf:li>`).join('')}</rdf:${kind}>`;
  const properties = [
    creators.length > 0 && `<dc:creator>${list('Seq', creators)}</dc:creator>`,
    copyright && `<dc:rights>${list('Alt', [copyright], ' xml:lang="x-default"')}</dc:rights>`,
    credit && `<photoshop:Credit>${escapeXml(credit)}</photoshop:Credit>`,
    digitalSourceType &&
      `<Iptc4xmpExt:DigitalSourceType>${escapeXml(digitalSourceType)}</Iptc4xmpExt:DigitalSourceType>`,
  ];
  return [
    '<?xpacket begin="\uFEFF" id="W5M0MpCehiHzreSzNTczkc9d"?>',
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">',
    `<rdf:Description rdf:about="" xmlns:dc="${namespaces.dc}" xmlns:photoshop="${namespaces.photoshop}"`,
    ` xmlns:Iptc4xmpExt="${namespaces.iptcExt}">`,
    ...properties.filter((property) => typeof property === 'string'),
    '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>',
  ].join('');
}

function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
