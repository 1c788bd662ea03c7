import type { Parser } from './parsers.ts';

const postgresScheme = /^postgres(?:ql)?(?:\+[a-z0-9]+)?:\/\//i;

/**
 * The URL of a PostgreSQL server. Also accepts SQLAlchemy's driver names and TLS parameters. TLS parameters are
 * translated to those of libpq, where `sslmode=require` encrypts without verifying the host name.
 */
export const databaseUrl: Parser<string> = {
  accepts: '`postgres://user:password@host:5432/database`, also `postgresql://` and `postgresql+asyncpg://`',
  parse(text) {
    const trimmed = text.trim();
    if (/^sqlite/i.test(trimmed))
      throw new Error(
        'is an SQLite URL, which is not supported: leave the variable unset to use the embedded PostgreSQL in DATA_DIR',
      );
    assertUnambiguousUrl(trimmed);
    if (!postgresScheme.test(trimmed)) throw new Error('is not the URL of a PostgreSQL server');
    const url = parseUrl(trimmed.replace(postgresScheme, 'postgres://'));
    const tlsMode = url.searchParams.get('sslmode') ?? url.searchParams.get('ssl');
    url.searchParams.delete('ssl');
    if (tlsMode !== null) {
      url.searchParams.set('sslmode', toSslMode(tlsMode));
      url.searchParams.set('uselibpqcompat', 'true');
    }
    return url.href;
  },
};

function toSslMode(word: string): string {
  if (/^(true|1)$/i.test(word)) return 'require';
  return /^(false|0)$/i.test(word) ? 'disable' : word.toLowerCase();
}

/** The URL of a Redis server. */
export const redisUrl: Parser<string> = {
  accepts: '`redis://host:6379/0`, or `rediss://` for TLS, optionally with `user:password@` before the host',
  parse(text) {
    assertUnambiguousUrl(text.trim());
    const url = parseUrl(text.trim());
    if (url.protocol !== 'redis:' && url.protocol !== 'rediss:')
      throw new Error('does not begin with redis:// or rediss://');
    return url.href;
  },
};

/** The endpoint URL of an S3-compatible store. */
export const s3Endpoint: Parser<string> = {
  accepts: 'a URL such as `https://s3.example.com` or `http://127.0.0.1:9000`',
  parse(text) {
    const url = parseUrl(text.trim());
    if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new Error('is not an http(s) URL');
    if (url.username || url.password) throw new Error('contains a user name or password');
    return url.href.replace(/\/$/, '');
  },
};

/** The prefix of all storage keys. The result is empty or ends with a slash. */
export const s3Prefix: Parser<string> = {
  accepts: "letters, digits and `!_.*'()-`, in segments separated by `/`",
  parse(text) {
    const prefix = text.trim().replace(/^\/+|\/+$/g, '');
    if (prefix === '') return '';
    if (prefix.length > 200) throw new Error('is longer than 200 characters');
    if (
      !/^[A-Za-z0-9!_.*'()-]+(?:\/[A-Za-z0-9!_.*'()-]+)*$/.test(prefix) ||
      /(?:^|\/)\.{1,2}(?:\/|$)/.test(prefix)
    )
      throw new Error('contains a character or a segment that is not allowed');
    return `${prefix}/`;
  },
};

/**
 * Throws if `text` is quoted or contains more than one `@`. The part of a password after an unescaped `@` would be
 * parsed as the host name, which appears in error messages.
 */
function assertUnambiguousUrl(text: string): void {
  if (/^["'`]/.test(text)) throw new Error('is quoted: remove the quotes');
  if (text.split('@').length > 2)
    throw new Error('contains more than one @: in a password, write @ as %40 and / as %2F');
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url?.hostname) throw new Error('is not a URL with a host');
  return url;
}

/** A limit given both as a fraction of all items (0 to 1) and as a number of items. */
export interface FractionAndCount {
  readonly fraction: number;
  readonly count: number;
}

/** @see FractionAndCount */
export const fractionAndCount: Parser<FractionAndCount> = {
  accepts: 'a percentage and a number, such as `5%/10000`',
  parse(text) {
    const match = /^\s*(\d{1,3}(?:\.\d+)?)\s*%\s*\/\s*([\d,_]+)\s*$/.exec(text);
    const fraction = Number(match?.[1]) / 100;
    const count = Number(match?.[2]?.replaceAll(/[,_]/g, ''));
    if (!match || fraction > 1 || !Number.isInteger(count))
      throw new Error('is not a percentage and a number');
    return { fraction, count };
  },
};
