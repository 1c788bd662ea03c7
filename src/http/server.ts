import type { Socket } from 'node:net';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Config } from '../config.ts';
import { AppError } from '../errors.ts';
import { version } from '../version.ts';
import { catalogDialect } from './dialects/catalog/catalog.ts';
import { answerErrorsAsProblems, answerFrameworkError, problemOf } from './problems.ts';
import type { SurfaceParts } from './surface.ts';
import { imageRoutes } from './v1/images.ts';
import { operationRoutes } from './v1/operations.ts';

/** Limits of a request before any route sees it. */
const requestLimits = {
  headerBytes: 16 * 1024,
  headers: 100,
  headersMs: 10_000,
  jsonBytes: 2 ** 20,
  urlParameter: 300,
};

/** Connections that wait for the next request are kept this long. */
const keepAliveMs = 65_000;

/** The HTTP server with all API surfaces; it does not listen yet. */
export function makeHttpServer(
  config: Config['server'],
  logger: FastifyBaseLogger,
  parts: SurfaceParts,
): FastifyInstance {
  const app = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: requestLimits.jsonBytes,
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
  }).withTypeProvider<ZodTypeProvider>();
  app.server.maxConnections = config.maxConnections;
  app.server.maxHeadersCount = requestLimits.headers;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  acceptForms(app);
  answerErrorsAsProblems(app);
  closeConnectionsAsTheyFallIdle(app);
  app.get('/', () => ({ name: 'Vitrine', version, api: '/v1/images', health: '/healthz' }));
  app.register(
    (v1, _options, done) => {
      imageRoutes(v1.withTypeProvider<ZodTypeProvider>(), parts);
      operationRoutes(v1.withTypeProvider<ZodTypeProvider>(), parts);
      done();
    },
    { prefix: '/v1' },
  );
  app.register((catalog, _options, done) => {
    catalogDialect(catalog.withTypeProvider<ZodTypeProvider>(), parts);
    done();
  });
  return app;
}

/** Routes read forms from the raw request, so that a file never lies in memory. */
function acceptForms(app: FastifyInstance): void {
  app.addContentTypeParser(/^multipart\/form-data/i, (_request, _payload, done) => done(null, undefined));
  app.addContentTypeParser('*', (_request, _payload, done) => {
    done(
      new AppError(
        'unsupported_body',
        'The body must be multipart/form-data with a file in the field "file".',
      ),
    );
  });
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
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const problem = nameBrokenRequest(error.code);
  const body = JSON.stringify(problemOf(problem));
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\nconnection: close\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function nameBrokenRequest(code: string | undefined): AppError {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new AppError(
      'headers_too_large',
      `The request's headers are larger than ${requestLimits.headerBytes} bytes.`,
    );
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new AppError('request_timeout', 'The request took too long to arrive.');
  return new AppError('invalid_request', 'This is not a proper HTTP request.');
}
