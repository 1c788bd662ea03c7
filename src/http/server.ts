import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { AppError } from '../errors.ts';
import { collectDocumentedRoutes } from './api-pages/documentation.ts';
import { serveApiPages } from './api-pages/pages.ts';
import { mustRejectBody, unsupportedBodyError } from './bodies/body-type.ts';
import { closeUnreadBodies } from './bodies/drain-body.ts';
import { acceptJson, maxBodyBytes } from './bodies/json-body.ts';
import { maxFormBytes } from './bodies/upload-form.ts';
import { schemaController } from './compilers.ts';
import { catalogDialect } from './dialects/catalog/catalog.ts';
import { deliveryRoutes } from './delivery/delivery.ts';
import { similarityDialect } from './dialects/similarity/similarity.ts';
import { authenticateRequests, limitCaching } from './guard/authentication.ts';
import {
  type AddressTest,
  limitConnectionsPerAddress,
  makeTrustedTest,
} from './guard/connections-per-address.ts';
import { allowOrigins } from './guard/cors.ts';
import { makeBeginForm, replayRequests } from './guard/idempotency.ts';
import { guardRequests, rejectMultipleHosts } from './guard/request-gate.ts';
import { makeRequestLimits } from './guard/request-limits.ts';
import { rejectSlowBodies } from './guard/slow-bodies.ts';
import { addSecurityHeaders } from './guard/security-headers.ts';
import { closeStalledResponses } from './guard/stalled-responses.ts';
import { countRequests } from './metrics.ts';
import { operationRoutes } from './operations.ts';
import { admitRequests, makeReceiveInTurn } from './overload/admit-requests.ts';
import { RequestLogger } from './request-logger.ts';
import { collectRoutes } from './responses/missing-routes.ts';
import { handleErrors, handleFrameworkError, handleMissingRoutes } from './responses/problems.ts';
import { sendRawProblem } from './responses/raw-problem.ts';
import type { HttpConfig, HttpDependencies, RoutePlugin, RouteDependencies } from './route-plugin.ts';
import { v1 } from './v1/v1.ts';

/** Limits that apply before routing. */
const requestLimits = {
  headerBytes: 16 * 1024,
  headerCount: 100,
  headersTimeoutMs: 10_000,
  /** Time at the start of a body in which its rate does not matter, because a connection may start slowly. */
  bodyGraceMs: 10_000,
  /** Maximum length in UTF-16 code units. A reference may have 200 characters of two code units each. */
  urlParameterLength: 400,
};

/** How long an idle connection is kept open. */
const keepAliveMs = 65_000;

/** Creates the HTTP server with all routes. The server does not listen yet. */
export function makeHttpServer(
  config: HttpConfig,
  logger: FastifyBaseLogger,
  dependencies: HttpDependencies,
): FastifyInstance {
  const isTrusted = makeTrustedTest(config.server.trustedProxies);
  const app = makeFastify(config.server, isTrusted, logger);
  const explainMissingRoute = collectRoutes(app);
  handleErrors(app);
  // These hooks run before all others, so that rejected requests cause no further work.
  rejectMultipleHosts(app);
  guardRequests(app, config.server);
  countRequests(app, dependencies.metrics);
  closeUnreadBodies(app);
  acceptJson(app);
  acceptForms(app);
  closeIdleConnectionsOnShutdown(app);
  closeStalledResponses(app, config.server.responseStallMs);
  rejectSlowBodies(app, {
    minBytesPerSecond: config.server.minUploadBytesPerSecond,
    graceMs: requestLimits.bodyGraceMs,
  });
  limitConnectionsPerAddress(app, {
    maxConnections: config.server.maxConnectionsPerAddress,
    isExemptFromLimit: isTrusted,
  });
  allowOrigins(app, config.server);
  addSecurityHeaders(app);
  preventCaching(app);
  const { authenticate, links, signedPaths, publicDelivery, requestLimiter: limiter } = dependencies;
  const limits = makeRequestLimits({ limiter, authenticate, isExemptFromLimit: isTrusted });
  authenticateRequests(app, { authenticate, links, signedPaths, publicDelivery, limits });
  admitRequests(app, {
    admission: dependencies.admission,
    maxUploadBytes: maxFormBytes(config.uploads.maxBytes),
  });
  limitCaching(app);
  replayRequests(app, dependencies.beginIdempotent);
  const loadDocumentation = collectDocumentedRoutes(app);
  // The hooks above must be registered first, so that they also run for 404 responses, which need CORS headers too.
  app.after(() => handleMissingRoutes(app, explainMissingRoute));
  addRoutes(app, {
    ...dependencies,
    config,
    receiveUploadForm: makeReceiveInTurn(dependencies.receiveUploadForm),
    beginForm: makeBeginForm(dependencies.beginIdempotent),
  });
  serveApiPages(app, loadDocumentation);
  return app;
}

function makeFastify(
  config: HttpConfig['server'],
  isTrusted: AddressTest,
  logger: FastifyBaseLogger,
): FastifyInstance {
  const app = Fastify({
    loggerInstance: logger,
    childLoggerFactory: (parent, bindings) => new RequestLogger(parent, bindings),
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: maxBodyBytes,
    // Any client can send X-Forwarded-For, so the header is used only if a trusted proxy sent it.
    trustProxy: isTrusted,
    requestTimeout: config.requestMs,
    keepAliveTimeout: keepAliveMs,
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    http: {
      maxHeaderSize: requestLimits.headerBytes,
      headersTimeout: Math.min(requestLimits.headersTimeoutMs, config.requestMs),
      // By default, Node checks for slow requests only every 30 s, so requests could exceed their time limit by up to 30 s.
      connectionsCheckingInterval: 1_000,
    },
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: requestLimits.urlParameterLength },
    schemaController,
    clientErrorHandler: handleMalformedRequest,
    frameworkErrors: handleFrameworkError,
  });
  app.server.maxConnections = config.maxConnections;
  app.server.maxHeadersCount = requestLimits.headerCount;
  return app;
}

function addRoutes(app: FastifyInstance, dependencies: RouteDependencies): void {
  const add = (plugin: RoutePlugin, prefix = '') =>
    app.register(
      (inner, _options, done) => {
        plugin(inner.withTypeProvider<ZodTypeProvider>(), dependencies);
        done();
      },
      { prefix },
    );
  add(operationRoutes);
  add(v1, '/v1');
  add(deliveryRoutes, '/i');
  add(catalogDialect);
  add(similarityDialect);
}

/**
 * Unless the route sets `cache-control`, adds a header that prevents caching without revalidation. Code that bypasses
 * Fastify sets it itself.
 */
function preventCaching(app: FastifyInstance): void {
  app.addHook('onSend', (_request, reply, payload, done) => {
    if (!reply.hasHeader('cache-control')) void reply.header('cache-control', 'no-cache');
    done(null, payload);
  });
}

/** Leaves forms unparsed, because routes stream them from the raw request instead of holding files in memory. */
function acceptForms(app: FastifyInstance): void {
  app.addContentTypeParser(/^multipart\/form-data/i, (request, _payload, done) => {
    if (mustRejectBody(request)) done(unsupportedBodyError(request));
    else done(null, undefined);
  });
  app.addContentTypeParser('*', (request, _payload, done) => done(unsupportedBodyError(request)));
}

/**
 * Closes connections as they become idle during shutdown. Node closes idle connections only once, so connections that
 * are busy at that moment would keep the process alive for the whole keep-alive time. Node also does not count a
 * connection as idle before its first request, and browsers open connections in advance.
 */
function closeIdleConnectionsOnShutdown(app: FastifyInstance): void {
  const openSockets = new Set<Socket>();
  app.server.on('connection', (socket: Socket) => {
    openSockets.add(socket);
    socket.once('close', () => openSockets.delete(socket));
  });
  app.addHook('preClose', (done) => {
    const timer = setInterval(() => {
      app.server.closeIdleConnections();
      for (const socket of openSockets) if (socket.bytesRead === 0) socket.destroy();
    }, 50);
    app.server.once('close', () => clearInterval(timer));
    done();
  });
}

/** Responds to requests that Node cannot parse. Fastify does not receive such requests. */
function handleMalformedRequest(
  error: NodeJS.ErrnoException & { readonly rawPacket?: unknown },
  socket: Socket,
): void {
  if (error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const { rawPacket } = error;
  const isHead = Buffer.isBuffer(rawPacket) && rawPacket.toString('latin1', 0, 5) === 'HEAD ';
  sendRawProblem(socket, malformedRequestError(error.code), isHead);
}

function malformedRequestError(code: string | undefined): AppError {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new AppError(
      'headers_too_large',
      `The request has more than ${requestLimits.headerCount} headers, or its headers exceed ${requestLimits.headerBytes} bytes.`,
    );
  }
  if (code === 'HPE_INVALID_URL') {
    return new AppError(
      'invalid_request',
      'The URL contains invalid characters; percent-encode them as UTF-8.',
    );
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new AppError('request_timeout', 'The request took too long to arrive.');
  return new AppError('invalid_request', 'This is not a valid HTTP request.');
}

/**
 * Handles one request without a listening server, for serverless hosts that call a function for each request. Resolves
 * once the response has been sent or the connection has been closed.
 */
export async function handleRequest(
  app: FastifyInstance,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  await app.ready();
  const completion = Promise.withResolvers<void>();
  response.once('close', completion.resolve).once('finish', completion.resolve);
  app.routing(request, response);
  await completion.promise;
}
