import type { Socket } from 'node:net';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { AppError } from '../errors.ts';
import { allowOrigins } from './guard/cors.ts';
import { catalogDialect } from './dialects/catalog/catalog.ts';
import { similarityDialect } from './dialects/similarity/similarity.ts';
import { closeUnreadBodies } from './bodies/drain-body.ts';
import { frontDoor } from './front-door.ts';
import { guardRequests } from './guard/request-gate.ts';
import { acceptJson, maxBodyBytes } from './bodies/json-body.ts';
import { boundConnections } from './guard/connections-per-address.ts';
import { collectAddresses } from './responses/missing-routes.ts';
import { describeRoutes } from './openapi/document.ts';
import { serveDocumentation } from './api-pages/pages.ts';
import {
  answerErrorsAsProblems,
  answerFrameworkError,
  answerMissingRoutes,
  problemOf,
} from './responses/problems.ts';
import { countRequests } from './metrics.ts';
import { closeStalledResponses } from './guard/stalled-responses.ts';
import { refuseSeveralHosts } from './single-host.ts';
import type { HttpConfig, HttpParts, Surface, SurfaceParts } from './surface.ts';
import { addressesIn, loopbackNetworks } from './trusted-proxies.ts';
import { refusesBodies, unsupportedBody } from './bodies/body-type.ts';
import { v1 } from './v1/v1.ts';
import { validatorCompiler } from './fields/validation.ts';

/** Limits of a request before any route sees it. */
const requestLimits = {
  headerBytes: 16 * 1024,
  headers: 100,
  headersMs: 10_000,
  /** In UTF-16: a reference may have 200 characters of two units each. */
  urlParameter: 400,
};

/** Time for the client of a malformed request to read the error. */
const lingerMs = 1_000;

/** Connections that wait for the next request are kept this long. */
const keepAliveMs = 65_000;

/** The HTTP server with all API surfaces; it does not listen yet. */
export function makeHttpServer(
  config: HttpConfig,
  logger: FastifyBaseLogger,
  parts: HttpParts,
): FastifyInstance {
  const app = makeServer(config.server, logger);
  const nameMissingRoute = collectAddresses(app);
  answerErrorsAsProblems(app);
  // Before all other hooks: a refused request costs nothing more.
  refuseSeveralHosts(app);
  guardRequests(app, config.server);
  countRequests(app, parts.metrics);
  closeUnreadBodies(app);
  acceptJson(app);
  acceptForms(app);
  closeConnectionsAsTheyFallIdle(app);
  closeStalledResponses(app, config.server.responseStallMs);
  boundConnections(app, {
    most: config.server.maxConnectionsPerAddress,
    isExempt: addressesIn([...loopbackNetworks, ...config.server.trustedProxies]),
  });
  allowOrigins(app, config.server);
  keepAnswersPlain(app);
  describeRoutes(app);
  // After the above: an error too goes to pages of other origins.
  app.after(() => answerMissingRoutes(app, nameMissingRoute));
  addSurfaces(app, { ...parts, config });
  return app;
}

function makeServer(config: HttpConfig['server'], logger: FastifyBaseLogger): FastifyInstance {
  const app = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: maxBodyBytes,
    // Proxies whose X-Forwarded-For is trusted: any client can send that header.
    trustProxy: addressesIn([...loopbackNetworks, ...config.trustedProxies]),
    requestTimeout: config.requestMs,
    keepAliveTimeout: keepAliveMs,
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    http: {
      maxHeaderSize: requestLimits.headerBytes,
      headersTimeout: Math.min(requestLimits.headersMs, config.requestMs),
      // Node looks for slow requests every 30 s by default, so that a limit of 10 s would mean up to 40.
      connectionsCheckingInterval: 1_000,
    },
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: requestLimits.urlParameter },
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: answerFrameworkError,
  });
  app.server.maxConnections = config.maxConnections;
  app.server.maxHeadersCount = requestLimits.headers;
  app.setValidatorCompiler(validatorCompiler);
  // Answers are written as they are. Their schemas document them, and tests hold them to it; an answer that differs is
  // still of more use than an error 500 in its place.
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer));
  return app;
}

function addSurfaces(app: FastifyInstance, parts: SurfaceParts): void {
  const add = (surface: Surface, prefix = '') =>
    app.register(
      (inner, _options, done) => {
        surface(inner.withTypeProvider<ZodTypeProvider>(), parts);
        done();
      },
      { prefix },
    );
  add(frontDoor);
  add(v1, '/v1');
  add(catalogDialect);
  add(similarityDialect);
  app.register((pages, _options, done) => {
    serveDocumentation(pages);
    done();
  });
}

/**
 * No answer is taken for another type than it says, nor kept by a proxy unless it says so: what a record tells may be
 * over a moment later. Those written past Fastify say both themselves.
 */
function keepAnswersPlain(app: FastifyInstance): void {
  app.addHook('onSend', (_request, reply, payload, done) => {
    void reply.header('x-content-type-options', 'nosniff');
    if (!reply.hasHeader('cache-control')) void reply.header('cache-control', 'no-cache');
    done(null, payload);
  });
}

/** Routes read forms from the raw request, so that a file never lies in memory. */
function acceptForms(app: FastifyInstance): void {
  app.addContentTypeParser(/^multipart\/form-data/i, (request, _payload, done) => {
    if (refusesBodies(request)) done(unsupportedBody(request));
    else done(null, undefined);
  });
  app.addContentTypeParser('*', (request, _payload, done) => done(unsupportedBody(request)));
}

/**
 * A server that closes ends its idle connections once; those that are busy at that moment would then stay open for the
 * whole keep-alive time and hold the process up. Nor does it count those as idle that have never sent anything, as
 * browsers open them to be quick later.
 */
function closeConnectionsAsTheyFallIdle(app: FastifyInstance): void {
  const open = new Set<Socket>();
  app.server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  app.addHook('preClose', (done) => {
    const timer = setInterval(() => {
      app.server.closeIdleConnections();
      for (const socket of open) if (socket.bytesRead === 0) socket.destroy();
    }, 50);
    app.server.once('close', () => clearInterval(timer));
    done();
  });
}

/** Answers what is no proper HTTP request; no route has seen it. */
function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  // A response is already being sent: no error can be inserted into it.
  if (error.code === 'ECONNRESET' || !socket.writable || socket.writableLength > 0) {
    socket.destroy();
    return;
  }
  const problem = nameBrokenRequest(error.code);
  const body = JSON.stringify(problemOf(problem));
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\nconnection: close\r\ncontent-type: application/problem+json\r\nx-content-type-options: nosniff\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  // A client that never closes its side would keep the connection open.
  socket.setTimeout(lingerMs);
}

function nameBrokenRequest(code: string | undefined): AppError {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new AppError(
      'headers_too_large',
      `The request has more than ${requestLimits.headers} headers, or more than ${requestLimits.headerBytes} bytes of them.`,
    );
  }
  if (code === 'HPE_INVALID_URL') {
    return new AppError(
      'invalid_request',
      'The address has characters that no address may have; write them as percent escapes of UTF-8.',
    );
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new AppError('request_timeout', 'The request took too long to arrive.');
  return new AppError('invalid_request', 'This is not a proper HTTP request.');
}
