import ipaddr from 'ipaddr.js';

/** Returns an address as a number. */
function toNumber(bytes: readonly number[]): bigint {
  return bytes.reduce((number, byte) => number * 256n + BigInt(byte), 0n);
}

function toBytes(number: bigint, length: number): number[] {
  return Array.from({ length }, (_, index) => Number((number >> BigInt(8 * (length - 1 - index))) & 255n));
}

/** Returns the first, middle and last address of a range. */
export function sampleAddresses([first, last]: readonly [string, string]): string[] {
  const [low, high] = [first, last].map((text) => ipaddr.parse(text).toByteArray());
  const [from, to] = [toNumber(low ?? []), toNumber(high ?? [])];
  const addresses = [from, (from + to) / 2n, to].map((number) => {
    return ipaddr.fromByteArray(toBytes(number, low?.length ?? 0)).toString();
  });
  return [...new Set(addresses)];
}

/** Returns the notations in which a URL can contain an IPv4 address. */
export function listV4Notations(address: string): string[] {
  const bytes = ipaddr.IPv4.parse(address).toByteArray();
  const number = toNumber(bytes);
  const [a, b, c, d] = bytes as [number, number, number, number];
  const toOctal = (value: number | bigint) => `0${value.toString(8)}`;
  const toHex = (value: number | bigint) => `0x${value.toString(16)}`;
  return [
    address,
    `${address}.`,
    String(number),
    toOctal(number),
    toHex(number),
    bytes.map(toOctal).join('.'),
    bytes.map((byte) => `000${toOctal(byte)}`).join('.'),
    bytes.map(toHex).join('.'),
    `${toHex(a)}.${toOctal(b)}.${c}.${d}`,
    `${a}.${number & 0xffffffn}`,
    `${a}.${b}.${(c << 8) | d}`,
    address.replaceAll(/\d/g, (digit) => String.fromCodePoint(0xff10 + Number(digit))),
    address.replaceAll('.', '。'),
    address.replaceAll(/\d/g, (digit) => `%3${digit}`),
  ];
}

/** Returns IPv6 addresses that embed an IPv4 address in different ways. */
export function listV6Embeddings(address: string): string[] {
  const bytes = ipaddr.IPv4.parse(address).toByteArray();
  const toWords = (ipv4Bytes: readonly number[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = ipv4Bytes;
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  };
  const hex = toWords(bytes);
  return [
    `::ffff:${address}`,
    `::ffff:${hex}`,
    `0:0:0:0:0:ffff:${hex}`,
    `::${address}`,
    `::ffff:0:${hex}`,
    `64:ff9b::${address}`,
    `64:ff9b:1::${hex}`,
    `2002:${hex}::1`,
    `2001:0:${hex}::1`,
    `2001:0:4136:e378:8000:63bf:${toWords(bytes.map((byte) => byte ^ 255))}`,
    `2606:4700::5efe:${address}`,
    `2606:4700::200:5efe:${hex}`,
    `2606:4700::100:5efe:${hex}`,
    `fe80::5efe:${hex}`,
  ];
}
