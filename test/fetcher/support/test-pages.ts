import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FetcherOptions } from '../../../src/fetcher/fetch-picture.ts';
import { waitUntilAllClosed, catchDownloadError, makeTestFetcher } from './test-fetcher.ts';
import { serve } from './origin.ts';

export const mebibyte = 1024 * 1024;

/** Sends one byte every `pauseMs` milliseconds until the client disconnects. */
async function drip(response: ServerResponse, pauseMs: number): Promise<void> {
  while (!response.destroyed) {
    response.write('x');
    await sleep(pauseMs);
  }
}

function redirect(count: number, response: ServerResponse): void {
  if (count === 0) response.end('a picture');
  else response.writeHead(302, { location: count === 1 ? '/a.jpg' : `/redirects/${count - 1}` }).end();
}

const pages: Readonly<Record<string, RequestListener>> = {
  '/a.jpg': (_request, response) => void response.end('a picture'),
  '/empty': (_request, response) => void response.end(),
  '/declared-too-large': (_request, response) => {
    response.setHeader('content-length', 2 * mebibyte);
    response.flushHeaders();
  },
  '/exact': (_request, response) => void response.end(Buffer.alloc(mebibyte)),
  '/endless': (_request, response) => {
    const push = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536)));
    };
    response.on('drain', push);
    push();
  },
  '/cut': (_request, response) => {
    response.setHeader('content-length', 1_000);
    response.write('only this', () => response.destroy());
  },
  '/cut-chunked': (_request, response) => void response.write('only this', () => response.destroy()),
  '/reset-midway': ({ socket }, response) =>
    void response.write('only this', () => setTimeout(() => socket.resetAndDestroy(), 50)),
  '/reset': (_request, response) => void response.destroy(),
  '/silent': () => {},
  '/stalled': (_request, response) => void response.write('only this'),
  '/drip': (_request, response) => void drip(response, 50),
  '/no-location': (_request, response) => void response.writeHead(302).end(),
  '/to-file': (_request, response) => void response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
  '/to-user': (_request, response) =>
    void response.writeHead(302, { location: 'http://u:p@127.0.0.1/' }).end(),
  '/to-nothing': (_request, response) => void response.writeHead(302, { location: 'http://:' }).end(),
  '/loop': (_request, response) => void response.writeHead(302, { location: '/loop' }).end(),
};

/**
 * Starts a server that sends valid and invalid responses. `/status/<n>` responds with status n. `/redirects/<n>` leads
 * to /a.jpg after n redirects.
 */
export async function servePages() {
  const requests: IncomingMessage[] = [];
  const server = await serve((request, response) => {
    requests.push(request);
    const { pathname } = new URL(request.url ?? '/', 'http://origin');
    const status = Number(pathname.slice('/status/'.length));
    if (pathname.startsWith('/status/')) response.writeHead(status).end(status === 204 ? undefined : 'x');
    else if (pathname.startsWith('/redirects/'))
      redirect(Number(pathname.slice('/redirects/'.length)), response);
    else pages[pathname]?.(request, response);
  });
  const makePageUrl = (path: string) => `http://127.0.0.1:${server.port}${path}`;
  return {
    ...server,
    requests,
    makePageUrl,
    /** Downloads `path`, returns the error, and waits until the connection is closed. */
    async catchDownloadError(path: string, options: Partial<FetcherOptions> = {}) {
      const error = await catchDownloadError(makeTestFetcher(options), makePageUrl(path));
      await waitUntilAllClosed(server);
      return error;
    },
  };
}
