import { availableParallelism } from 'node:os';
import { duplicateHandlings, nearDuplicateHandlings } from '../model/duplicates.ts';
import { engineSettings } from './engine-settings.ts';
import { allowedNetworkList, hostList, networkList, originList, publicOrigin } from './network-readers.ts';
import { formatList, presetList, thumbnailSize } from './picture-readers.ts';
import {
  anyText,
  commandWords,
  fraction,
  logLevel,
  oneOf,
  printableText,
  wholeNumber,
  yesNo,
} from './readers.ts';
import { optional, type Setting, withDefault } from './setting.ts';

const cores = String(availableParallelism());

/** Every setting of Vitrine, in the order of the documentation. */
export const settings = {
  host: withDefault('Server', 'HOST', anyText, '127.0.0.1', {
    about:
      'Address to listen on. `0.0.0.0` opens the service to the network: put a proxy with access control before it.',
  }),
  port: withDefault('Server', 'PORT', wholeNumber(0, 65_535), '8000', {
    about: 'Port to listen on; `0` takes a free one.',
  }),
  maxConnections: withDefault('Server', 'MAX_CONNECTIONS', wholeNumber(1, 100_000), '1024', {
    about: 'Connections open at once; more are closed at once.',
  }),
  maxConnectionsPerAddress: withDefault(
    'Server',
    'MAX_CONNECTIONS_PER_ADDRESS',
    wholeNumber(1, 100_000),
    '256',
    {
      about:
        'Connections of one address open at once, of IPv6 of one /64; then 429. Loopback and `TRUSTED_PROXIES` are not counted.',
    },
  ),
  requestSeconds: withDefault('Server', 'REQUEST_SECONDS', wholeNumber(1, 86_400), '120', {
    about: 'Longest time for a request to arrive, body included; then 408.',
  }),
  bodyIdleSeconds: withDefault('Server', 'BODY_IDLE_SECONDS', wholeNumber(1, 3_600), '15', {
    about: 'Longest pause while an upload arrives; then 408.',
  }),
  responseStallSeconds: withDefault('Server', 'RESPONSE_STALL_SECONDS', wholeNumber(1, 3_600), '20', {
    about: 'A client that reads nothing of a response for this time loses its connection.',
  }),
  inlineSeconds: withDefault('Server', 'INLINE_SECONDS', wholeNumber(1, 600), '14', {
    about: 'An inline upload that is not finished after this time is answered with 202; its work goes on.',
  }),
  shutdownSeconds: withDefault('Server', 'SHUTDOWN_SECONDS', wholeNumber(1, 300), '15', {
    about: 'After SIGTERM, requests and jobs may run this long; then jobs are handed back.',
  }),
  readCacheMb: withDefault('Server', 'READ_CACHE_MB', wholeNumber(0, 65_536), '64', {
    about: 'Memory for renditions that are read often, in MiB; `0` reads every one from storage.',
  }),
  corsOrigins: withDefault(
    'Server',
    'CORS_ORIGINS',
    originList,
    'http://localhost:3000,http://localhost:8080,http://localhost:8000',
    {
      about:
        'Origins whose pages may call the API from a browser; `none` allows none. `*` lets the pages of every origin read, and none of them change anything.',
    },
  ),
  publicUrl: optional('Server', 'PUBLIC_URL', publicOrigin, {
    about:
      'Address under which clients reach this server, when a proxy stands before it. Its host is an allowed one, and its own pages may change things.',
  }),
  allowedHosts: withDefault('Server', 'ALLOWED_HOSTS', hostList, 'none', {
    about:
      'Further names by which clients reach this server. Requests for other hosts are answered with 421: always while `HOST` is a loopback address, else once this or `PUBLIC_URL` is set. Loopback names and IP addresses always pass.',
  }),
  trustedProxies: withDefault('Server', 'TRUSTED_PROXIES', networkList, 'none', {
    about:
      'Networks of the proxies in front of this server, beside this machine itself: their connections are not counted by address, and the log names the client from their `X-Forwarded-For`.',
  }),
  dataDir: withDefault('Data', 'DATA_DIR', anyText, './data', {
    about:
      'Folder of the embedded database, of pictures on local disk, and of files that are on their way; a start makes it private to its user (mode 0700), so nothing else belongs there. With the embedded database, one process at a time.',
  }),
  ...engineSettings,
  enableWorker: withDefault('Worker', 'ENABLE_WORKER', yesNo, 'true', {
    about: '`false`: this process serves requests only; queued work waits for another worker.',
  }),
  workerConcurrency: withDefault('Worker', 'WORKER_CONCURRENCY', wholeNumber(1, 256), cores, {
    about: 'Decoder children, so pictures decoded at once.',
    fallbackWords: 'number of processor cores',
  }),
  workerPort: optional('Worker', 'WORKER_PORT', wholeNumber(0, 65_535), {
    about:
      'Port on which `vitrine worker` answers `/healthz`, and `/metrics` for Prometheus, on the address `HOST`; `0` takes a free one. Not set: it answers nobody.',
  }),
  leaseSeconds: withDefault('Worker', 'LEASE_SECONDS', wholeNumber(2, 3_600), '60', {
    about: 'A worker that gives no sign of life for this time loses its job to another.',
  }),
  decodeTimeoutMs: withDefault('Decoder', 'DECODE_TIMEOUT_MS', wholeNumber(100, 600_000), '5000', {
    about: 'Longest time for one picture in a decoder child; then the child is killed.',
  }),
  probeTimeoutMs: withDefault('Decoder', 'PROBE_TIMEOUT_MS', wholeNumber(100, 600_000), '2000', {
    about: "Longest time to read one picture's header in a decoder child; then the child is killed.",
  }),
  decodeMemoryMb: withDefault('Decoder', 'DECODE_MEMORY_MB', wholeNumber(128, 65_536), '1024', {
    about: 'Most memory of a decoder child, in MiB; then the child is killed. Watched on Linux.',
  }),
  poolRecycleJobs: withDefault('Decoder', 'POOL_RECYCLE_JOBS', wholeNumber(1, 1_000_000), '500', {
    about: 'A decoder child is replaced after this many pictures.',
  }),
  decoderLauncher: optional('Decoder', 'DECODER_LAUNCHER', commandWords, {
    about:
      'A command in front of the Node of each decoder child that takes the network and more from it, such as `unshare --net` or `bwrap`; `{folder}` stands for the folder of its inputs. See [decoder sandbox](decoder-sandbox.md).',
  }),
  maxUploadBytes: withDefault('Uploads', 'MAX_UPLOAD_BYTES', wholeNumber(1, 2 ** 32), '10485760', {
    aliases: ['MAX_FILE_SIZE'],
    about: 'Largest file, in bytes; larger ones are answered with 413.',
  }),
  maxPixels: withDefault('Uploads', 'MAX_PIXELS', wholeNumber(1, 268_402_689), '70000000', {
    about: 'Most pixels of a picture: width × height of the frame that is used.',
  }),
  maxAvifPixels: withDefault('Uploads', 'MAX_AVIF_PIXELS', wholeNumber(1, 268_402_689), '24000000', {
    about:
      'Most pixels of an AVIF picture, where this is less than `MAX_PIXELS`: a kilobyte of AVIF can take seconds to decode.',
  }),
  maxFrames: withDefault('Uploads', 'MAX_FRAMES', wholeNumber(1, 100_000), '1000', {
    about: 'Most frames of an animation, or pages of a TIFF.',
  }),
  allowedFormats: withDefault(
    'Uploads',
    'ALLOWED_EXTENSIONS',
    formatList,
    '.jpg,.jpeg,.png,.gif,.bmp,.webp,.avif,.tif,.tiff',
    { about: 'Formats that are taken in. They are told by content: the name of a file does not matter.' },
  ),
  importAllowedNetworks: withDefault(
    'Imports by URL',
    'IMPORT_ALLOWED_NETWORKS',
    allowedNetworkList,
    'none',
    {
      about:
        'Networks that imports may reach although they are not public, each with the one port that is opened (`10.1.2.3/32:9000`); without a port, every port. Whoever may import URLs can speak HTTP to what is opened. All other private, local and special addresses are refused.',
    },
  ),
  importMaxRedirects: withDefault('Imports by URL', 'IMPORT_MAX_REDIRECTS', wholeNumber(0, 20), '5', {
    about: 'Redirects that an import follows; each is checked like the first URL.',
  }),
  duplicateHandling: withDefault(
    'Imports by URL',
    'DUPLICATE_HANDLING',
    oneOf(duplicateHandlings),
    'reuse-completed',
    {
      aliases: ['THUMBFORGE_DUPLICATE_HANDLING'],
      about:
        'What a URL that was imported before leads to: `reuse-completed` answers its image, and begins anew after a failure; `allow-retry` always begins anew; `reject-active` refuses with 409 while it is in work.',
    },
  ),
  importConcurrency: withDefault('Imports by URL', 'IMPORT_CONCURRENCY', wholeNumber(1, 1_000), '16', {
    about: 'Downloads at once in a worker.',
  }),
  importConnectSeconds: withDefault('Imports by URL', 'IMPORT_CONNECT_SECONDS', wholeNumber(1, 300), '5', {
    about: 'Longest time to look up a name, and then to connect.',
  }),
  importIdleSeconds: withDefault('Imports by URL', 'IMPORT_IDLE_SECONDS', wholeNumber(1, 300), '10', {
    about: 'Longest wait for the head of an answer, and longest pause between two packets of it.',
  }),
  importTotalSeconds: withDefault('Imports by URL', 'IMPORT_TOTAL_SECONDS', wholeNumber(1, 3_600), '60', {
    about: 'Longest time of one download, redirects included.',
  }),
  presets: withDefault(
    'Renditions',
    'PRESETS',
    presetList,
    '{"thumb":[100,100],"card":[400,400],"zoom":1200}',
    { about: 'Renditions made of every picture: each fits inside its box and is never enlarged.' },
  ),
  thumbnailSize: optional('Renditions', 'THUMBNAIL_SIZE', thumbnailSize, {
    aliases: ['THUMBFORGE_THUMBNAIL_SIZE'],
    about: 'Overrides the size of the preset `thumb`.',
  }),
  nearDuplicates: withDefault(
    'Duplicates and similarity',
    'NEAR_DUPLICATES',
    oneOf(nearDuplicateHandlings),
    'reuse',
    {
      about:
        '`reuse`: a near-duplicate shows the renditions of the image that was there, where both are the same pixels up to re-encoding; `flag`: it is only named; `off`: it is not looked for.',
    },
  ),
  hashThreshold: withDefault(
    'Duplicates and similarity',
    'PHASH_HAMMING_THRESHOLD',
    wholeNumber(0, 16),
    '5',
    { about: 'Largest distance of the perceptual hashes of near-duplicates, of 64 bits.' },
  ),
  embeddingDimension: withDefault(
    'Duplicates and similarity',
    'EMBEDDING_DIMENSION',
    wholeNumber(512, 512),
    '512',
    { about: 'Numbers in a descriptor. The built-in descriptor has 512.' },
  ),
  similarityThreshold: withDefault('Duplicates and similarity', 'SIMILARITY_THRESHOLD', fraction, '0.7', {
    about: 'Least score of a similar image, where a request names none.',
  }),
  maxSimilarResults: withDefault(
    'Duplicates and similarity',
    'MAX_SIMILAR_RESULTS',
    wholeNumber(1, 100),
    '10',
    {
      about: 'Most similar images in an answer, where a request names no `limit`.',
    },
  ),
  purgeDays: withDefault('Purge', 'PURGE_DAYS', wholeNumber(0, 36_500), '30', {
    about:
      'Deleted images may be restored for this long; then a purge of deleted images takes them, where it names no other time.',
  }),
  purgeConfirmToken: optional('Purge', 'PURGE_CONFIRM_TOKEN', printableText, {
    isSecret: true,
    about:
      'What purges must be confirmed with: every purge that is no dry run, once others than this machine reach the server (`HOST`, `PUBLIC_URL`, `ALLOWED_HOSTS`); before that, `/v1/purge` only.',
    fallbackWords: '`DELETE_CONFIRMED` while only this machine reaches the server; else purges are refused',
  }),
  jobsKeepDays: withDefault('Retention', 'JOBS_KEEP_DAYS', wholeNumber(1, 36_500), '7', {
    about: 'Completed jobs are forgotten after this time.',
  }),
  failedJobsKeepDays: withDefault('Retention', 'FAILED_JOBS_KEEP_DAYS', wholeNumber(1, 36_500), '30', {
    about: 'Failed jobs are forgotten after this time; until then they can be looked at and retried.',
  }),
  importsKeepDays: withDefault('Retention', 'IMPORTS_KEEP_DAYS', wholeNumber(1, 36_500), '90', {
    about:
      'Progress and lines of an import of many URLs are forgotten after this time, and so are images whose URL never brought a picture, unless they have references. All other images stay.',
  }),
  // Longer than an upload may stay in the store before it is ingested for its tenant.
  emptyTenantsKeepDays: withDefault('Retention', 'EMPTY_TENANTS_KEEP_DAYS', wholeNumber(2, 36_500), '30', {
    about:
      'A tenant that has no image, job or import, and for which nothing came for this time, is forgotten.',
  }),
  logLevel: withDefault('Log', 'LOG_LEVEL', logLevel, 'info', { about: 'Least level that is logged.' }),
  logFormat: withDefault('Log', 'LOG_FORMAT', oneOf(['auto', 'json', 'text']), 'auto', {
    about:
      'One JSON object a line, or lines for people; `auto` writes text to a terminal and JSON elsewhere.',
  }),
  debug: optional('Log', 'DEBUG', anyText, {
    about: 'A yes means `LOG_LEVEL=debug`; any other word is left to the libraries that read it.',
  }),
} as const;

/** The values of all settings, by key. */
export type SettingValues = {
  [Key in keyof typeof settings]: (typeof settings)[Key] extends Setting<infer T> ? T : never;
};
