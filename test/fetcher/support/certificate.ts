import { generateKeyPairSync, sign } from 'node:crypto';

/** Encodes a value in DER. */
function encodeDer(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const sequence = (...contents: readonly Uint8Array[]) => encodeDer(0x30, ...contents);
const identifier = (...bytes: readonly number[]) => encodeDer(0x06, Buffer.from(bytes));
const time = (text: string) => encodeDer(0x17, Buffer.from(text, 'latin1'));

const ecdsaWithSha256 = sequence(identifier(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));
const commonName = identifier(0x55, 0x04, 0x03);
const subjectAltName = identifier(0x55, 0x1d, 0x11);

/** Generates a key and a self-signed certificate for `host`, both as PEM. */
export function createSelfSignedCertificate(host: string): { readonly key: string; readonly cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const distinguishedName = sequence(
    encodeDer(0x31, sequence(commonName, encodeDer(0x0c, Buffer.from(host)))),
  );
  const alternativeNames = encodeDer(0x04, sequence(encodeDer(0x82, Buffer.from(host))));
  const body = sequence(
    encodeDer(0xa0, encodeDer(0x02, Buffer.from([2]))),
    encodeDer(0x02, Buffer.from([1])),
    ecdsaWithSha256,
    distinguishedName,
    sequence(time('200101000000Z'), time('491231235959Z')),
    distinguishedName,
    publicKey.export({ type: 'spki', format: 'der' }),
    encodeDer(0xa3, sequence(sequence(subjectAltName, alternativeNames))),
  );
  const signature = encodeDer(0x03, Buffer.from([0]), sign('sha256', body, privateKey));
  const base64 = sequence(body, ecdsaWithSha256, signature).toString('base64');
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
  };
}
