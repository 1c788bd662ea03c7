import type { Reader } from './readers.ts';

const postgresScheme = /^postgres(?:ql)?(?:\+[a-z0-9]+)?:\/\//i;

/**
 * The address of a PostgreSQL server. Older services wrote the driver into the scheme and its words for TLS into the
 * query; both are put into the words of libpq, whose meaning `sslmode` then has: `require` encrypts and checks no name.
 */
export const databaseUrl: Reader<string> = {
  accepts: '`postgres://user:password@host:5432/database`, also `postgresql://` and `postgresql+asyncpg://`',
  read(text) {
    const trimmed = text.trim();
    if (/^sqlite/i.test(trimmed))
      throw new Error(
        'names SQLite, which is not used here: left unset, an embedded PostgreSQL lies in DATA_DIR',
      );
    assertPlainAddress(trimmed);
    if (!postgresScheme.test(trimmed))
      throw new Error('does not begin like the address of a PostgreSQL server');
    const url = parseUrl(trimmed.replace(postgresScheme, 'postgres://'));
    const tls = url.searchParams.get('sslmode') ?? url.searchParams.get('ssl');
    url.searchParams.delete('ssl');
    if (tls !== null) {
      url.searchParams.set('sslmode', tlsMode(tls));
      url.searchParams.set('uselibpqcompat', 'true');
    }
    return url.href;
  },
};

function tlsMode(word: string): string {
  if (/^(true|1)$/i.test(word)) return 'require';
  return /^(false|0)$/i.test(word) ? 'disable' : word.toLowerCase();
}

/** The address of a Redis server. */
export const redisUrl: Reader<string> = {
  accepts: '`redis://host:6379/0`, or `rediss://` with TLS; `user:password@` before the host',
  read(text) {
    assertPlainAddress(text.trim());
    const url = parseUrl(text.trim());
    if (url.protocol !== 'redis:' && url.protocol !== 'rediss:')
      throw new Error('does not begin with redis:// or rediss://');
    return url.href;
  },
};

/** The address of an S3-compatible store, without a path. */
export const s3Endpoint: Reader<string> = {
  accepts: 'an address such as `https://s3.example.com` or `http://127.0.0.1:9000`',
  read(text) {
    const url = parseUrl(text.trim());
    if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new Error('is no http(s) address');
    if (url.username || url.password) throw new Error('holds a user or a password');
    return url.href.replace(/\/$/, '');
  },
};

/** The beginning of every key: empty, or with a slash at its end. */
export const s3Prefix: Reader<string> = {
  accepts: "letters, digits and `!_.*'()-`, in parts divided by `/`",
  read(text) {
    const prefix = text.trim().replace(/^\/+|\/+$/g, '');
    if (prefix === '') return '';
    if (prefix.length > 200) throw new Error('is longer than 200 characters');
    if (
      !/^[A-Za-z0-9!_.*'()-]+(?:\/[A-Za-z0-9!_.*'()-]+)*$/.test(prefix) ||
      /(?:^|\/)\.{1,2}(?:\/|$)/.test(prefix)
    )
      throw new Error('has other characters');
    return `${prefix}/`;
  },
};

/** With a bare @ in it, the end of a password would be taken for the host, and errors name the host. */
function assertPlainAddress(text: string): void {
  if (/^["'`]/.test(text)) throw new Error('stands in quotes: leave them out');
  if (text.split('@').length > 2)
    throw new Error('holds more than one @: write @ as %40, and / as %2F, in a password');
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url?.hostname) throw new Error('is no address with a host');
  return url;
}
