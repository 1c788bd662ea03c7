import { availableParallelism } from 'node:os';
import { duplicateHandlings } from '../model/import.ts';
import { nearDuplicateHandlings } from '../model/image.ts';
import { databaseSettings, queueSettings, storageSettings } from './engine-settings.ts';
import { allowedNetworkList, hostList, networkList, originList, publicOrigin } from './network-readers.ts';
import { formatList, presetList, thumbnailSize } from './picture-readers.ts';
import {
  anyText,
  commandWords,
  fraction,
  logLevel,
  mebibytes,
  oneOf,
  printableText,
  seconds,
  wholeNumber,
  yesNo,
} from './readers.ts';
import { optional, type Section, type ValuesOf, withDefault } from './setting.ts';

const cores = String(availableParallelism());

/**
 * All settings, by section and property. `Config` and docs/configuration.md are derived from this table, so adding a
 * setting only takes an entry here. Readers convert units: a property such as `requestMs` is in milliseconds.
 */
export const settings = {
  server: {
    host: withDefault('HOST', anyText, '127.0.0.1', {
      about:
        'Address to listen on. `0.0.0.0` opens the service to the network: put a proxy with access control in front of it.',
    }),
    port: withDefault('PORT', wholeNumber(0, 65_535), '8000', {
      about: 'Port to listen on; `0` picks a free one.',
    }),
    maxConnections: withDefault('MAX_CONNECTIONS', wholeNumber(1, 100_000), '1024', {
      about: 'Maximum number of open connections; further ones are closed at once.',
    }),
    maxConnectionsPerAddress: withDefault('MAX_CONNECTIONS_PER_ADDRESS', wholeNumber(1, 100_000), '256', {
      about:
        'Maximum number of open connections per client address (per /64 for IPv6); further requests get 429. Loopback and `TRUSTED_PROXIES` are not counted.',
    }),
    requestMs: withDefault('REQUEST_SECONDS', seconds(1, 86_400), '120', {
      about: 'Time limit for receiving a request, body included; then 408.',
    }),
    bodyIdleMs: withDefault('BODY_IDLE_SECONDS', seconds(1, 3_600), '15', {
      about: 'Longest pause while an upload arrives; then 408.',
    }),
    responseStallMs: withDefault('RESPONSE_STALL_SECONDS', seconds(1, 3_600), '20', {
      about: 'A client that reads nothing of a response for this long is disconnected.',
    }),
    inlineMs: withDefault('INLINE_SECONDS', seconds(1, 600), '14', {
      about: 'An inline upload that takes longer is answered with 202; processing continues.',
    }),
    shutdownMs: withDefault('SHUTDOWN_SECONDS', seconds(1, 300), '15', {
      about: 'After SIGTERM, requests and jobs may run for this long; then jobs are handed back.',
    }),
    readCacheBytes: withDefault('READ_CACHE_MB', mebibytes(0, 65_536), '64', {
      about: 'Memory for caching renditions, in MiB; `0` reads every rendition from storage.',
    }),
    corsOrigins: withDefault(
      'CORS_ORIGINS',
      originList,
      'http://localhost:3000,http://localhost:8080,http://localhost:8000',
      {
        about:
          'Origins whose pages may call the API from a browser; `none` allows none. `*` lets pages of every origin read, but not change anything.',
      },
    ),
    publicOrigin: optional('PUBLIC_URL', publicOrigin, {
      about:
        'Address that clients use when a proxy is in front of this server. Its host is allowed, and pages from it may change data.',
    }),
    allowedHosts: withDefault('ALLOWED_HOSTS', hostList, 'none', {
      about:
        'Additional host names that clients use for this server. Requests for other hosts get 421 while `HOST` is a loopback address, or once this or `PUBLIC_URL` is set. Loopback names and IP addresses are always accepted.',
    }),
    trustedProxies: withDefault('TRUSTED_PROXIES', networkList, 'none', {
      about:
        'Networks of the proxies in front of this server, in addition to this machine: their connections are not counted per address, and the log takes the client address from their `X-Forwarded-For`.',
    }),
  },
  data: {
    dir: withDefault('DATA_DIR', anyText, './data', {
      about:
        'Folder of the embedded database, of locally stored pictures, and of staging files. Vitrine makes it private to its user (mode 0700) at start, so keep nothing else in it. With the embedded database, only one process may use it at a time.',
    }),
  },
  database: databaseSettings,
  queue: queueSettings,
  storage: storageSettings,
  worker: {
    enabled: withDefault('ENABLE_WORKER', yesNo, 'true', {
      about: '`false`: this process only serves requests; queued jobs wait for another worker.',
    }),
    concurrency: withDefault('WORKER_CONCURRENCY', wholeNumber(1, 256), cores, {
      about: 'Number of decoder processes, and so of pictures decoded concurrently.',
      fallbackWords: 'number of processor cores',
    }),
    port: optional('WORKER_PORT', wholeNumber(0, 65_535), {
      about:
        'Port on which `vitrine worker` serves `/healthz` and Prometheus `/metrics`, on the address `HOST`; `0` picks a free one. Not set: it does not listen.',
    }),
    leaseSeconds: withDefault('LEASE_SECONDS', wholeNumber(2, 3_600), '60', {
      about: 'A worker that sends no heartbeat for this long loses its jobs to other workers.',
    }),
  },
  decoder: {
    timeoutMs: withDefault('DECODE_TIMEOUT_MS', wholeNumber(100, 600_000), '5000', {
      about: 'Time limit for processing one picture in a decoder process; then that process is killed.',
    }),
    probeTimeoutMs: withDefault('PROBE_TIMEOUT_MS', wholeNumber(100, 600_000), '2000', {
      about: "Time limit for reading one picture's header in a decoder process; then that process is killed.",
    }),
    memoryMb: withDefault('DECODE_MEMORY_MB', wholeNumber(128, 65_536), '1024', {
      about: 'Memory limit of a decoder process, in MiB; above it, the process is killed. Enforced on Linux.',
    }),
    recycleAfterJobs: withDefault('POOL_RECYCLE_JOBS', wholeNumber(1, 1_000_000), '500', {
      about: 'A decoder process is replaced after this many pictures.',
    }),
    launcher: withDefault('DECODER_LAUNCHER', commandWords, '', {
      about:
        'Command that starts each decoder process in a sandbox, such as `unshare --net` or `bwrap`; `{folder}` is replaced with the folder of its inputs. See [decoder sandbox](decoder-sandbox.md).',
      fallbackWords: 'not set',
    }),
  },
  uploads: {
    maxBytes: withDefault('MAX_UPLOAD_BYTES', wholeNumber(1, 2 ** 32), '10485760', {
      aliases: ['MAX_FILE_SIZE'],
      about: 'Maximum file size, in bytes; larger files get 413.',
    }),
    maxPixels: withDefault('MAX_PIXELS', wholeNumber(1, 268_402_689), '70000000', {
      about: 'Maximum width × height of a picture, in pixels of the frame that is used.',
    }),
    maxAvifPixels: withDefault('MAX_AVIF_PIXELS', wholeNumber(1, 268_402_689), '24000000', {
      about:
        'The same for AVIF, where this is less than `MAX_PIXELS`: a kilobyte of AVIF can take seconds to decode.',
    }),
    maxFrames: withDefault('MAX_FRAMES', wholeNumber(1, 100_000), '1000', {
      about: 'Maximum number of frames of an animation, or of pages of a TIFF.',
    }),
    allowedFormats: withDefault(
      'ALLOWED_EXTENSIONS',
      formatList,
      '.jpg,.jpeg,.png,.gif,.bmp,.webp,.avif,.tif,.tiff',
      { about: 'Accepted formats. They are detected from the content; file names do not matter.' },
    ),
  },
  imports: {
    allowedNetworks: withDefault('IMPORT_ALLOWED_NETWORKS', allowedNetworkList, 'none', {
      about:
        'Networks that imports may reach although they are not public, each with the one port that is allowed (`10.1.2.3/32:9000`); without a port, every port is. Anyone who may import URLs can then send HTTP requests there. All other private, local and special addresses are refused.',
    }),
    maxRedirects: withDefault('IMPORT_MAX_REDIRECTS', wholeNumber(0, 20), '5', {
      about: 'Maximum number of redirects that an import follows; each target is checked like the first URL.',
    }),
    duplicateHandling: withDefault('DUPLICATE_HANDLING', oneOf(duplicateHandlings), 'reuse-completed', {
      aliases: ['THUMBFORGE_DUPLICATE_HANDLING'],
      about:
        'How to handle a URL that was imported before: `reuse-completed` returns its image, and starts again after a failure; `allow-retry` always starts again; `reject-active` refuses with 409 while the import is in progress.',
    }),
    concurrency: withDefault('IMPORT_CONCURRENCY', wholeNumber(1, 1_000), '16', {
      about: 'Maximum number of concurrent downloads of a worker.',
    }),
    connectMs: withDefault('IMPORT_CONNECT_SECONDS', seconds(1, 300), '5', {
      about: 'Time limit for the DNS lookup, and again for the connection.',
    }),
    idleMs: withDefault('IMPORT_IDLE_SECONDS', seconds(1, 300), '10', {
      about: 'Time limit for the response headers, and for each pause between two packets.',
    }),
    totalMs: withDefault('IMPORT_TOTAL_SECONDS', seconds(1, 3_600), '60', {
      about: 'Time limit for one download, redirects included.',
    }),
  },
  renditions: {
    presets: withDefault('PRESETS', presetList, '{"thumb":[100,100],"card":[400,400],"zoom":1200}', {
      about:
        'Renditions to make of every picture. Each is scaled down to fit its box, and is never enlarged.',
    }),
    thumbnailSize: optional('THUMBNAIL_SIZE', thumbnailSize, {
      aliases: ['THUMBFORGE_THUMBNAIL_SIZE'],
      about: 'Overrides the size of the preset `thumb`.',
    }),
  },
  similarity: {
    nearDuplicates: withDefault('NEAR_DUPLICATES', oneOf(nearDuplicateHandlings), 'reuse', {
      about:
        '`reuse`: a near-duplicate gets the renditions of the existing image if both have the same pixels up to re-encoding; `flag`: it is only reported; `off`: near-duplicates are not searched for.',
    }),
    hashThreshold: withDefault('PHASH_HAMMING_THRESHOLD', wholeNumber(0, 16), '5', {
      about: 'Maximum distance of the perceptual hashes of near-duplicates, out of 64 bits.',
    }),
    embeddingDimension: withDefault('EMBEDDING_DIMENSION', wholeNumber(512, 512), '512', {
      about: 'Length of an embedding. The built-in embedding has 512 numbers.',
    }),
    threshold: withDefault('SIMILARITY_THRESHOLD', fraction, '0.7', {
      about: 'Minimum score of a similar image, unless the request sets one.',
    }),
    maxResults: withDefault('MAX_SIMILAR_RESULTS', wholeNumber(1, 100), '10', {
      about: 'Maximum number of similar images in a response, unless the request sets `limit`.',
    }),
  },
  purge: {
    days: withDefault('PURGE_DAYS', wholeNumber(0, 36_500), '30', {
      about:
        'Deleted images can be restored for this long. After that, a purge of deleted images removes them, unless it names another time.',
    }),
    confirmToken: optional('PURGE_CONFIRM_TOKEN', printableText, {
      isSecret: true,
      about:
        'Token that confirms purges other than dry runs. All of them require it once other machines can reach the server (`HOST`, `PUBLIC_URL`, `ALLOWED_HOSTS`); until then, only `/v1/purge` does.',
      fallbackWords:
        '`DELETE_CONFIRMED` while only this machine can reach the server; else purges are refused',
    }),
  },
  retention: {
    completedJobDays: withDefault('JOBS_KEEP_DAYS', wholeNumber(1, 36_500), '7', {
      about: 'Records of completed jobs are removed after this many days.',
    }),
    failedJobDays: withDefault('FAILED_JOBS_KEEP_DAYS', wholeNumber(1, 36_500), '30', {
      about: 'Records of failed jobs are removed after this many days; until then they can be retried.',
    }),
    importDays: withDefault('IMPORTS_KEEP_DAYS', wholeNumber(1, 36_500), '90', {
      about:
        'Records of an import of many URLs are removed after this many days, as are images whose URL never returned a picture, unless they have references. All other images stay.',
    }),
    // At least 2: a presigned upload may stay in the store for a day before it is ingested for its tenant.
    emptyTenantDays: withDefault('EMPTY_TENANTS_KEEP_DAYS', wholeNumber(2, 36_500), '30', {
      about: 'A tenant without images, jobs and imports is removed after this many days without an upload.',
    }),
  },
  log: {
    level: withDefault('LOG_LEVEL', logLevel, 'info', { about: 'Minimum level that is logged.' }),
    format: withDefault('LOG_FORMAT', oneOf(['auto', 'json', 'text']), 'auto', {
      about:
        'One JSON object per line, or lines for people; `auto` writes text to a terminal and JSON elsewhere.',
    }),
    debug: optional('DEBUG', anyText, {
      about: '`true` (or any other yes) means `LOG_LEVEL=debug`; other values are left to libraries.',
    }),
  },
} as const satisfies Readonly<Record<string, Section>>;

/** The values of all settings, by section and property. */
export type SettingValues = { readonly [S in keyof typeof settings]: ValuesOf<(typeof settings)[S]> };
