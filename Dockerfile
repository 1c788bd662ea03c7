# One image for the API (`serve`, the default) and the worker (`worker`). See docs/deploy/docker.md.

FROM node:24.21.0-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund

FROM node:24.21.0-bookworm-slim
WORKDIR /app
# With more malloc arenas, glibc does not return the memory of decoded pictures to the system.
ENV NODE_ENV=production \
    MALLOC_ARENA_MAX=2 \
    AUTH=keys \
    HOST=0.0.0.0 \
    PORT=8000 \
    WORKER_PORT=8001 \
    DATA_DIR=/data \
    LOG_FORMAT=json
RUN mkdir --mode=0700 /data && chown node:node /data
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY bin ./bin
COPY deploy/docker ./deploy/docker
COPY src ./src
USER node
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["node", "deploy/docker/healthcheck.js"]
CMD ["node", "src/main.ts", "serve"]
