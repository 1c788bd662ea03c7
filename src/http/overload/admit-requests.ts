import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type {
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  onRequestAsyncHookHandler,
  onRequestHookHandler,
  RouteOptions,
} from 'fastify';
import type { ReceiveUploadForm } from '../bodies/upload-form.ts';
import { toAddressKey } from '../guard/connections-per-address.ts';
import type { Admission, AdmittedUpload } from './admission.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * How the route is treated under load. `always`: never refused. `import`: refused while the queue is too long. Routes that
     * receive a picture need no value.
     */
    readonly underLoad?: 'always' | 'import';
    /** Whether an upload waits for a worker. Otherwise, the query parameter `mode` decides. */
    readonly isQueued?: true;
  }
}

/** How long the body of an upload may take to arrive before other uploads may use its slot. */
const promptBodyMs = 500;

interface Dependencies {
  readonly admission: Admission;
  /** Size that is assumed for an upload without `Content-Length`. */
  readonly maxUploadBytes: number;
}

/** An upload in progress. */
interface Upload extends AdmittedUpload {
  /** Set once the handler runs. It then releases the slot, even if the client has closed the connection. */
  isHandled: boolean;
}

const uploads = new WeakMap<IncomingMessage, Upload>();

/**
 * Refuses requests that the process cannot serve in time, with the status 503 and before their body is read. Must be called
 * after authentication, because each caller has its own share.
 */
export function admitRequests(app: FastifyInstance, dependencies: Dependencies): void {
  app.addHook('onRoute', (route) => {
    const { access, underLoad } = route.config ?? {};
    if (access === 'open' || underLoad === 'always' || route.method === 'OPTIONS') return;
    if (receivesPicture(route)) {
      const admit: onRequestAsyncHookHandler = (request, reply) => admitUpload(dependencies, request, reply);
      addHook(route, admit);
      releaseAfterHandler(route);
    } else if (underLoad === 'import')
      addHook(
        route,
        toHook((request) => dependencies.admission.assertQueueIsShort('import', tenantIdOf(request))),
      );
    else
      addHook(
        route,
        toHook(() => dependencies.admission.admitOther()),
      );
  });
}

/** Appends a hook. */
function addHook(route: RouteOptions, hook: onRequestHookHandler | onRequestAsyncHookHandler): void {
  route.onRequest = [...[route.onRequest ?? []].flat(), hook];
}

/** Makes a hook of a check that does not wait, so that the most frequent requests cause no promise. */
function toHook(check: (request: FastifyRequest) => void): onRequestHookHandler {
  return (request, _reply, done) => {
    let failure: Error | undefined;
    try {
      check(request);
    } catch (error) {
      failure = error as Error;
    }
    done(failure);
  };
}

function receivesPicture({ schema }: RouteOptions): boolean {
  return schema?.bodies !== undefined && 'multipart/form-data' in schema.bodies;
}

async function admitUpload(
  { admission, maxUploadBytes }: Dependencies,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const admitted = await admission.admitUpload({
    caller: identifyCaller(request),
    tenantId: tenantIdOf(request),
    bytes: declaredBytes(request) ?? maxUploadBytes,
    isQueued: isQueued(request),
    onSlot: (slot) => reply.raw.once('close', slot.release),
  });
  begin(admitted, request, reply);
}

function begin(admitted: AdmittedUpload, { raw }: FastifyRequest, reply: FastifyReply): void {
  const timer = setTimeout(() => {
    if (!raw.complete) admitted.suspend();
  }, promptBodyMs);
  const upload: Upload = {
    ...admitted,
    isHandled: false,
    release() {
      clearTimeout(timer);
      admitted.release();
    },
  };
  uploads.set(raw, upload);
  reply.raw.once('close', () => {
    if (!upload.isHandled) upload.release();
  });
  if (reply.raw.destroyed) upload.release();
}

/** Makes the route's handler release the slot when it has finished. */
function releaseAfterHandler(route: RouteOptions): void {
  const { handler } = route;
  route.handler = async function (request, reply) {
    const upload = uploads.get(request.raw);
    if (upload) upload.isHandled = true;
    try {
      return await handler.call(this, request, reply);
    } finally {
      upload?.release();
    }
  };
}

/** Wraps `receive` so that an upload whose body arrived slowly waits for its turn again before it is processed. */
export function makeReceiveInTurn(receive: ReceiveUploadForm): ReceiveUploadForm {
  return async (request, fieldNames) => {
    const form = await receive(request, fieldNames);
    await uploads.get(request)?.resume();
    return form;
  };
}

/** Returns whose share a request uses: the tenant's, or the key's, or with open access the address's. */
export function identifyCaller({ identity, ip }: FastifyRequest): string {
  if (identity !== null && identity.tenantId !== null) return `tenant ${identity.tenantId}`;
  if (identity !== null && identity.subject !== 'open') return identity.subject;
  // A trusted proxy may forward any text as the address.
  return isIP(ip) === 0 ? 'unknown' : toAddressKey(ip);
}

function tenantIdOf({ identity }: FastifyRequest): number | null {
  return identity?.tenantId ?? null;
}

function declaredBytes({ headers }: FastifyRequest): number | undefined {
  const length = headers['content-length'];
  return length === undefined ? undefined : Number(length);
}

function isQueued({ query, routeOptions }: FastifyRequest): boolean {
  if (routeOptions.config.isQueued) return true;
  return typeof query === 'object' && query !== null && 'mode' in query && query.mode === 'queued';
}
