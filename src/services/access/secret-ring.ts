import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';

/** What a code authenticates. Each purpose has its own codes, so that one cannot be replayed as another. */
export type SealPurpose = 'api-key' | 'link';

/** A keyed hash, and the id of the secret that made it. */
export interface Seal {
  readonly secretId: string;
  readonly code: Buffer;
}

/**
 * The secrets of `SECRET_KEY`, newest first. The newest makes new codes; all of them verify, so that a secret can be replaced
 * without invalidating the codes that it made.
 */
export interface SecretRing {
  /** Id of the secret that makes new codes. */
  readonly newestId: string;
  /** Ids of all secrets. */
  readonly ids: readonly string[];
  /** Returns the HMAC-SHA-256 of `text` under the newest secret. */
  seal(purpose: SealPurpose, text: string): Seal;
  /** Returns the HMAC-SHA-256 of `text` under a secret of the ring; `undefined` if the ring has no such secret. */
  codeOf(purpose: SealPurpose, text: string, secretId: string): Buffer | undefined;
  /**
   * Returns whether `code` is that of `text`, in constant time. A code whose secret is no longer in the ring is never valid,
   * and takes as long to reject.
   */
  verify(purpose: SealPurpose, text: string, seal: Seal): boolean;
  /** Encrypts `text` with the newest secret (AES-256-GCM). */
  encrypt(text: string): { readonly secretId: string; readonly response: Buffer };
  /** Returns the text; `undefined` if the secret is no longer in the ring or the data was changed. */
  decrypt(secretId: string, data: Buffer): string | undefined;
}

/** @see SecretRing @param secrets newest first; at least one */
export function makeSecretRing(secrets: readonly string[]): SecretRing {
  const [newest] = secrets;
  if (newest === undefined) throw new Error('A secret ring needs at least one secret.');
  const secretsById = new Map(secrets.map((secret) => [secretIdOf(secret), secret]));
  const newestId = secretIdOf(newest);
  return {
    newestId,
    ids: [...secretsById.keys()],
    seal: (purpose, text) => ({ secretId: newestId, code: computeCode(newest, purpose, text) }),
    codeOf(purpose, text, secretId) {
      const secret = secretsById.get(secretId);
      return secret === undefined ? undefined : computeCode(secret, purpose, text);
    },
    verify(purpose, text, { secretId, code }) {
      const secret = secretsById.get(secretId);
      const expected = computeCode(secret ?? newest, purpose, text);
      const isEqual = code.length === expected.length && timingSafeEqual(code, expected);
      return isEqual && secret !== undefined;
    },
    encrypt(text) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv(cipherName, encryptionKey(newest), nonce);
      const encrypted = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return { secretId: newestId, response: Buffer.concat([nonce, cipher.getAuthTag(), encrypted]) };
    },
    decrypt(secretId, data) {
      const secret = secretsById.get(secretId);
      if (secret === undefined || data.length < nonceBytes + tagBytes) return undefined;
      const decipher = createDecipheriv(cipherName, encryptionKey(secret), data.subarray(0, nonceBytes));
      decipher.setAuthTag(data.subarray(nonceBytes, nonceBytes + tagBytes));
      try {
        const text = decipher.update(data.subarray(nonceBytes + tagBytes));
        return Buffer.concat([text, decipher.final()]).toString('utf8');
      } catch {
        return undefined;
      }
    },
  };
}

const cipherName = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;

function encryptionKey(secret: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', 'vitrine encryption', 32));
}

function computeCode(secret: string, purpose: SealPurpose, text: string): Buffer {
  return createHmac('sha256', secret).update(`vitrine ${purpose}\0${text}`).digest();
}

/** Returns a short public id of a secret, from which the secret cannot be derived. */
function secretIdOf(secret: string): string {
  return createHash('sha256').update(`vitrine secret id\0${secret}`).digest('hex').slice(0, 8);
}
