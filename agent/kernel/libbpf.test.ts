import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type Failure, isFailure } from '../failure.ts';
import { errnoName, loadLibbpf } from './libbpf.ts';

/** The library is loaded once in a process, so every variant gets its own. */
const loadElsewhere = (path: string): Failure => {
  const module = fileURLToPath(new URL('libbpf.ts', import.meta.url));
  const script = `import { loadLibbpf } from ${JSON.stringify(module)}; console.log(JSON.stringify(loadLibbpf()))`;
  const env = { ...process.env, SCX_SLO_LIBBPF: path };
  return JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '-e', script], { env }).toString(),
  );
};

const BOOKWORM = '/usr/lib/x86_64-linux-gnu/libbpf.so.1.1.2';

describe('loadLibbpf', () => {
  it('says what to do without the library', () => {
    const problem = loadElsewhere('/nonexistent/libbpf.so.1');
    expect(problem).toMatchObject({ code: 'SLO_E_LIBBPF' });
    expect(problem.what).toContain('/nonexistent/libbpf.so.1');
    expect(problem.next).toContain('make setup');
  });

  it.skipIf(!existsSync(BOOKWORM))(`refuses a version that is too old (needs ${BOOKWORM})`, () => {
    expect(loadElsewhere(BOOKWORM)).toMatchObject({ code: 'SLO_E_LIBBPF', why: 'it is 1.1, 1.5 is needed' });
  });

  it('refuses a library that is something else', () => {
    expect(loadElsewhere('libm.so.6')).toMatchObject({ code: 'SLO_E_LIBBPF' });
  });
});

const libbpf = loadLibbpf();

describe.skipIf(isFailure(libbpf))('libbpf (needs libbpf.so.1 of 1.5 or newer)', () => {
  it('reports a missing object with its errno and what libbpf printed', () => {
    if (isFailure(libbpf)) throw new Error(libbpf.why);
    libbpf.clearLog();
    const result = libbpf.openObject('/nonexistent/some.bpf.o');
    expect(typeof result === 'number' && errnoName(result)).toBe('ENOENT');
    expect(libbpf.recentLog().join('\n')).toContain('/nonexistent/some.bpf.o');
  });

  it('names errnos', () => {
    expect(errnoName(-16)).toBe('EBUSY');
    expect(errnoName(-99_999)).toBe('errno 99999');
  });
});
