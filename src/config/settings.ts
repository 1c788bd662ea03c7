import { availableParallelism } from 'node:os';
import { duplicatePolicies } from '../model/import.ts';
import { nearDuplicatePolicies } from '../model/image.ts';
import { accessSettings, quotaSettings } from './access-settings.ts';
import { databaseSettings, queueSettings, storageSettings } from './back-end-settings.ts';
import { deliverySettings } from './delivery-settings.ts';
import { allowedNetworkList, hostList, networkList, originList, publicOrigin } from './network-parsers.ts';
import { formatList, metadataKindList, thumbnailSize } from './picture-parsers.ts';
import { presetList } from './preset-parser.ts';
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
} from './parsers.ts';
import { overloadSettings, requestSettings } from './request-settings.ts';
import { optional, type Section, type ValuesOf, withDefault } from './setting.ts';

const cores = String(availableParallelism());

/**
 * All settings, by section and property. `Config` and docs/configuration.md are derived from this table, so a new
 * setting needs only an entry here. Parsers convert units, so a property such as `requestMs` is in milliseconds.
 */
export const settings = {
  server: {
    host: withDefault('HOST', anyText, '127.0.0.1', {
      about:
        'Address to listen on. `0.0.0.0` exposes the service to the network: set `AUTH=keys`, and put a proxy with TLS in front of it.',
    }),
    port: withDefault('PORT', wholeNumber(0, 65_535), '8000', {
      about: 'Port to listen on; `0` picks a free port.',
    }),
    maxConnections: withDefault('MAX_CONNECTIONS', wholeNumber(1, 100_000), '1024', {
      about: 'Maximum number of open connections; additional connections are closed immediately.',
    }),
    maxConnectionsPerAddress: withDefault('MAX_CONNECTIONS_PER_ADDRESS', wholeNumber(1, 100_000), '256', {
      about:
        'Maximum number of open connections per client address (per /64 for IPv6); requests on additional connections get 429. Connections from loopback addresses and `TRUSTED_PROXIES` are not counted.',
    }),
    requestMs: withDefault('REQUEST_SECONDS', seconds(1, 86_400), '120', {
      about: 'Time limit for receiving a request, including its body; after that, the request gets 408.',
    }),
    bodyIdleMs: withDefault('BODY_IDLE_SECONDS', seconds(1, 3_600), '15', {
      about: 'Maximum pause during an upload; after a longer pause, the upload gets 408.',
    }),
    minUploadBytesPerSecond: withDefault('MIN_UPLOAD_BYTES_PER_SECOND', wholeNumber(0, 10_000_000), '1024', {
      about:
        'Minimum average rate at which a request body must arrive after its first 10 s; a slower one gets 408. `0` means no minimum.',
    }),
    responseStallMs: withDefault('RESPONSE_STALL_SECONDS', seconds(1, 3_600), '20', {
      about: 'A client that stops reading a response for this long is disconnected.',
    }),
    inlineMs: withDefault('INLINE_SECONDS', seconds(1, 600), '14', {
      about: 'An inline upload that takes longer than this gets 202, and its processing continues.',
    }),
    shutdownMs: withDefault('SHUTDOWN_SECONDS', seconds(1, 300), '15', {
      about:
        'Time limit for finishing requests and jobs after SIGTERM; unfinished jobs are then handed back to the queue.',
    }),
    readCacheBytes: withDefault('READ_CACHE_MB', mebibytes(0, 65_536), '64', {
      about: 'Size of the in-memory rendition cache, in MiB; `0` disables it.',
    }),
    corsOrigins: withDefault(
      'CORS_ORIGINS',
      originList,
      'http://localhost:3000,http://localhost:8080,http://localhost:8000',
      {
        about:
          'Origins whose pages may call the API from a browser; `none` means no origin. `*` allows pages of all origins to read but not to write.',
      },
    ),
    publicOrigin: optional('PUBLIC_URL', publicOrigin, {
      about:
        'URL at which clients reach this server through a proxy. Requests for the host of this URL are accepted, pages from its origin may write, and signed links begin with it.',
    }),
    allowedHosts: withDefault('ALLOWED_HOSTS', hostList, 'none', {
      about:
        'Additional host names of this server. Requests for other host names get 421 if `HOST` is a loopback address, or if this setting or `PUBLIC_URL` is set. Loopback names and IP addresses are always accepted.',
    }),
    trustedProxies: withDefault('TRUSTED_PROXIES', networkList, 'none', {
      about:
        'Networks of trusted proxies, in addition to this machine. Their connections are exempt from `MAX_CONNECTIONS_PER_ADDRESS`. The client address in the `X-Forwarded-For` header of their requests counts towards the limits on requests and appears in the log; from all others, the header is ignored.',
    }),
  },
  data: {
    dir: withDefault('DATA_DIR', anyText, './data', {
      about:
        'Folder of the embedded database, locally stored images and staging files. At startup, Vitrine makes the folder accessible only to the user that runs Vitrine (mode 0700), so keep nothing else in it. With the embedded database, only one process can use the folder at a time.',
    }),
  },
  database: databaseSettings,
  queue: queueSettings,
  storage: storageSettings,
  worker: {
    enabled: withDefault('ENABLE_WORKER', yesNo, 'true', {
      about:
        'If `false`, this process only serves requests; queued jobs wait for a worker in a different process.',
    }),
    concurrency: withDefault('WORKER_CONCURRENCY', wholeNumber(1, 256), cores, {
      about: 'Number of decoder workers, and therefore of images decoded concurrently.',
      fallbackDescription: 'number of processor cores',
    }),
    port: optional('WORKER_PORT', wholeNumber(0, 65_535), {
      about:
        'Port on which `vitrine worker` serves `/healthz` and `/metrics` (for Prometheus), at the address `HOST`; `0` picks a free port. If not set, the worker does not listen.',
    }),
    leaseSeconds: withDefault('LEASE_SECONDS', wholeNumber(2, 3_600), '60', {
      about: 'A worker that sends no heartbeat for this long loses its jobs to other workers.',
    }),
  },
  decoder: {
    timeoutMs: withDefault('DECODE_TIMEOUT_MS', wholeNumber(100, 600_000), '5000', {
      about: 'Time limit for one task of a decoder worker; after that, the decoder worker is killed.',
    }),
    probeTimeoutMs: withDefault('PROBE_TIMEOUT_MS', wholeNumber(100, 600_000), '2000', {
      about: 'Time limit for reading the header of one image; after that, the decoder worker is killed.',
    }),
    memoryMb: withDefault('DECODE_MEMORY_MB', wholeNumber(128, 65_536), '1024', {
      about: 'Memory limit of a decoder worker, in MiB; above it, the decoder worker is killed. Linux only.',
    }),
    maxTasksPerChild: withDefault('POOL_RECYCLE_JOBS', wholeNumber(1, 1_000_000), '500', {
      about: 'Number of tasks after which a decoder worker is replaced.',
    }),
    launcher: withDefault('DECODER_LAUNCHER', commandWords, '', {
      about:
        'Command that starts each decoder worker in a sandbox, such as `unshare --net` or `bwrap`; `{folder}` expands to the input folder of the decoder worker. See [decoder sandbox](decoder-sandbox.md).',
      fallbackDescription: 'not set',
    }),
  },
  requests: requestSettings,
  uploads: {
    maxBytes: withDefault('MAX_UPLOAD_BYTES', wholeNumber(1, 2 ** 32), '10485760', {
      aliases: ['MAX_FILE_SIZE'],
      about: 'Maximum file size, in bytes; larger files get 413.',
    }),
    maxPixels: withDefault('MAX_PIXELS', wholeNumber(1, 268_402_689), '70000000', {
      about:
        'Maximum number of pixels (width × height). For an animation or a multi-page file, the limit applies to the frame that is decoded.',
    }),
    maxAvifPixels: withDefault('MAX_AVIF_PIXELS', wholeNumber(1, 268_402_689), '24000000', {
      about:
        'Pixel limit for AVIF images; the lower of this limit and `MAX_PIXELS` applies. A kilobyte of AVIF can take seconds to decode.',
    }),
    maxFrames: withDefault('MAX_FRAMES', wholeNumber(1, 100_000), '1000', {
      about: 'Maximum number of frames in an animation or pages in a TIFF.',
    }),
    allowedFormats: withDefault(
      'ALLOWED_EXTENSIONS',
      formatList,
      '.jpg,.jpeg,.png,.gif,.bmp,.webp,.avif,.tif,.tiff',
      {
        about:
          'Accepted formats. The format of a file is detected from its content, regardless of its name. `.heic` needs an image library that reads HEIC ([HEIC](heic.md)).',
      },
    ),
  },
  overload: overloadSettings,
  access: accessSettings,
  quotas: quotaSettings,
  imports: {
    allowedNetworks: withDefault('IMPORT_ALLOWED_NETWORKS', allowedNetworkList, 'none', {
      about:
        'Non-public networks that imports may connect to, each optionally limited to one port (`10.1.2.3/32:9000`). Anyone who can import URLs can then send HTTP requests there. All other private, local and special addresses are rejected.',
    }),
    maxRedirects: withDefault('IMPORT_MAX_REDIRECTS', wholeNumber(0, 20), '5', {
      about: 'Maximum number of redirects that an import follows; each target is checked like the first URL.',
    }),
    duplicateHandling: withDefault('DUPLICATE_HANDLING', oneOf(duplicatePolicies), 'reuse-completed', {
      aliases: ['THUMBFORGE_DUPLICATE_HANDLING'],
      about:
        'How to handle a URL that was imported before. `reuse-completed` returns the existing image, unless it failed; `allow-retry` always imports the URL again; `reject-active` does the same, but returns 409 while an import of the URL is in progress.',
    }),
    concurrency: withDefault('IMPORT_CONCURRENCY', wholeNumber(1, 1_000), '16', {
      about: 'Maximum number of concurrent downloads per worker.',
    }),
    perHost: withDefault('IMPORTS_PER_HOST', wholeNumber(0, 10_000), '8', {
      about:
        'Maximum number of concurrent downloads from one host, in all processes together; `0` means no limit. Further imports from the host wait, without delaying imports from other hosts.',
    }),
    perTenant: withDefault('IMPORTS_PER_TENANT', wholeNumber(0, 10_000), '12', {
      about:
        'Maximum number of concurrent downloads for one tenant, in all processes together; `0` means no limit. Raise it together with the number of workers.',
    }),
    connectMs: withDefault('IMPORT_CONNECT_SECONDS', seconds(1, 300), '5', {
      about:
        'Time limit for connecting, including the TLS handshake. The DNS lookup has its own limit of 2 s.',
    }),
    idleMs: withDefault('IMPORT_IDLE_SECONDS', seconds(1, 300), '10', {
      about: 'Time limit for receiving the response headers, and for each pause between two packets.',
    }),
    totalMs: withDefault('IMPORT_TOTAL_SECONDS', seconds(1, 3_600), '60', {
      about: 'Time limit for a whole download, including redirects.',
    }),
  },
  renditions: {
    presets: withDefault('PRESETS', presetList, '{"thumb":[100,100],"card":[400,400],"zoom":1200}', {
      about:
        'The renditions of each image, by name, as JSON: a maximum side, a box, or an object of options ([Presets](presets.md)).',
    }),
    keepMetadata: withDefault('KEEP_METADATA', metadataKindList, 'copyright,credit,ai', {
      about:
        'Metadata that renditions keep: the copyright notice, the creator and credit line, and the statement that the picture was made by AI.',
    }),
    thumbnailSize: optional('THUMBNAIL_SIZE', thumbnailSize, {
      aliases: ['THUMBFORGE_THUMBNAIL_SIZE'],
      about: 'Overrides the size of the `thumb` preset.',
    }),
  },
  delivery: deliverySettings,
  similarity: {
    nearDuplicates: withDefault('NEAR_DUPLICATES', oneOf(nearDuplicatePolicies), 'reuse', {
      about:
        '`reuse`: a near-duplicate reuses the renditions of an older image if the two differ only in size and encoding; `flag`: near-duplicates are only reported; `off`: they are not detected.',
    }),
    hashThreshold: withDefault('PHASH_HAMMING_THRESHOLD', wholeNumber(0, 16), '5', {
      about:
        'Maximum distance between the perceptual hashes of two pictures of the tier `reencoded`, out of 64 bits. Edited copies have a radius of their own.',
    }),
    embeddingModel: optional('EMBEDDING_MODEL', anyText, {
      about:
        'Path of a model in ONNX format that computes embeddings instead of the built-in method. See [similarity](similarity.md#use-a-model).',
    }),
    embeddingDimension: withDefault('EMBEDDING_DIMENSION', wholeNumber(512, 512), '512', {
      about: 'Number of dimensions of the built-in embedding. A model has its own, see `EMBEDDING_MODEL`.',
    }),
    threshold: withDefault('SIMILARITY_THRESHOLD', fraction, '0.7', {
      about: 'Minimum score of a similar image, unless the request sets `threshold`.',
    }),
    indexMinImages: withDefault('SIMILARITY_INDEX_MIN_IMAGES', wholeNumber(1_000, 10 ** 9), '20000', {
      about:
        'A tenant with at least this many images is searched with an approximate index, on a PostgreSQL server. Smaller tenants, and the embedded database, are searched exactly ([Search](search.md)).',
    }),
    maxResults: withDefault('MAX_SIMILAR_RESULTS', wholeNumber(1, 100), '10', {
      about: 'Maximum number of similar images in a response, unless the request sets `limit`.',
    }),
  },
  purge: {
    days: withDefault('PURGE_DAYS', wholeNumber(0, 36_500), '30', {
      about:
        'A purge of deleted images removes images that were deleted at least this many days ago, unless the request sets `days`. Deleted images can be restored until they are purged.',
    }),
    confirmToken: optional('PURGE_CONFIRM_TOKEN', printableText, {
      isSecret: true,
      about:
        'Token that confirms purges other than dry runs. `/v1/purge` always requires it. Other purges require it only with `AUTH=open`, if other machines can reach the server (`HOST`, `PUBLIC_URL`, `ALLOWED_HOSTS`).',
      fallbackDescription:
        '`DELETE_CONFIRMED`; with `AUTH=open`, if other machines can reach the server, such purges are rejected instead',
    }),
  },
  retention: {
    completedJobDays: withDefault('JOBS_KEEP_DAYS', wholeNumber(1, 36_500), '7', {
      about: 'Completed jobs are deleted after this many days.',
    }),
    failedJobDays: withDefault('FAILED_JOBS_KEEP_DAYS', wholeNumber(1, 36_500), '30', {
      about: 'Failed jobs are deleted after this many days; until then, they can be retried.',
    }),
    importDays: withDefault('IMPORTS_KEEP_DAYS', wholeNumber(1, 36_500), '90', {
      about:
        'Bulk imports are deleted after this many days, together with failed images that have neither an original nor a reference. All other images are kept.',
    }),
    auditDays: withDefault('AUDIT_KEEP_DAYS', wholeNumber(0, 36_500), '365', {
      about: 'Entries of the audit log are deleted after this many days; 0 keeps all entries.',
    }),
    oldRenditionDays: withDefault('OLD_RENDITIONS_KEEP_DAYS', wholeNumber(0, 36_500), '7', {
      about:
        'An outdated rendition is deleted this many days after its successor exists; until then, it is served at its own URL.',
    }),
    // The minimum is 2, because a presigned upload may stay in the store for a day before it is ingested for its
    // tenant.
    emptyTenantDays: withDefault('EMPTY_TENANTS_KEEP_DAYS', wholeNumber(2, 36_500), '30', {
      about:
        'A tenant without images, jobs, imports, API keys and settings of its own is deleted this many days after its last write.',
    }),
  },
  log: {
    level: withDefault('LOG_LEVEL', logLevel, 'info', { about: 'Minimum level to log.' }),
    format: withDefault('LOG_FORMAT', oneOf(['auto', 'json', 'text']), 'auto', {
      about:
        '`json`: one JSON object per line; `text`: human-readable lines; `auto`: text on a terminal, JSON elsewhere.',
    }),
    debug: optional('DEBUG', anyText, {
      about:
        '`true`, `1`, `yes` or `on` means `LOG_LEVEL=debug`; Vitrine ignores other values, because some libraries use the same variable.',
    }),
  },
} as const satisfies Readonly<Record<string, Section>>;

/** The values of all settings, by section and property. */
export type SettingValues = { readonly [S in keyof typeof settings]: ValuesOf<(typeof settings)[S]> };
