import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseConfig } from './config-file.ts';
import { CONFIG_TEMPLATE } from './config-template.ts';

const utf8 = new TextEncoder();
const parse = (text: string) => parseConfig(utf8.encode(text));
const errorsOf = (text: string) =>
  parse(text).errors.map((e) => `${e.line}:${e.column} ${e.code} ${e.message}`);

describe('config file', () => {
  it('reads rules, comments, blank lines, tabs and CR LF', () => {
    const { rules, errors } = parse(
      '# comment\n\n  # indented\n/kubepods/critical/payment-api 50 90\n/a\t \t2.5\t1\r\n \t \n/b 1 100',
    );
    expect(errors).toEqual([]);
    expect(rules).toEqual([
      { path: '/kubepods/critical/payment-api', budgetMs: 50, importance: 90, line: 4 },
      { path: '/a', budgetMs: 2.5, importance: 1, line: 5 },
      { path: '/b', budgetMs: 1, importance: 100, line: 7 },
    ]);
  });

  it('takes systemd and kubelet names', () => {
    const path = '/kubepods.slice/kubepods-pod0a1b_2c.slice/cri-containerd-0f.scope';
    const escaped = '/system.slice/system-serial\\x2dgetty.slice/serial-getty@ttyS0.service';
    expect(parse(`${path} 5 5\n${escaped} 5 5`).rules.map((r) => r.path)).toEqual([path, escaped]);
  });

  it.each([
    ['/a', '1:3 SLO_E_CONFIG_FIELDS budget_ms is missing; a rule is: cgroup_path budget_ms importance'],
    ['/a 50', '1:6 SLO_E_CONFIG_FIELDS importance is missing; a rule is: cgroup_path budget_ms importance'],
    ['/a 50 90 7', '1:10 SLO_E_CONFIG_FIELDS "7" is one field too many'],
    ['/a 50 90 # x', '1:10 SLO_E_CONFIG_FIELDS "#" is one field too many; a comment needs a line of its own'],
    ['  /a 0 90', '1:6 SLO_E_BUDGET budget_ms: "0" is not 1 .. 10000 (decimal ms)'],
    ['/a 50 0', '1:7 SLO_E_IMPORTANCE importance: "0" is not 1 .. 100 (integer)'],
    ['/a 50 101', '1:7 SLO_E_IMPORTANCE importance: "101" is not 1 .. 100 (integer)'],
    [
      'kubepods/x 50 90',
      '1:1 SLO_E_CONFIG_PATH "kubepods/x": a cgroup path starts with "/", the root of the cgroup hierarchy',
    ],
    ['/ 50 90', '1:1 SLO_E_CONFIG_PATH "/": the root cgroup is the whole node and cannot have a rule'],
    ['/a/../b 50 90', '1:1 SLO_E_CONFIG_PATH "/a/../b": "." and ".." are not allowed in a cgroup path'],
    ['/.. 50 90', '1:1 SLO_E_CONFIG_PATH "/..": "." and ".." are not allowed in a cgroup path'],
    ['/./b 50 90', '1:1 SLO_E_CONFIG_PATH "/./b": "." and ".." are not allowed in a cgroup path'],
    ['//b 50 90', '1:1 SLO_E_CONFIG_PATH "//b": empty name in the cgroup path ("//" or a "/" at its end)'],
    ['/b/ 50 90', '1:1 SLO_E_CONFIG_PATH "/b/": empty name in the cgroup path ("//" or a "/" at its end)'],
    ['/a 5\u0000 90', '1:5 SLO_E_CONFIG_ENCODING NUL byte'],
  ])('refuses %j with its position', (line, error) => {
    expect(errorsOf(line)).toEqual([error]);
  });

  it('separates fields by blanks and tabs only', () => {
    expect(parse('/a\u00a050 90 5').rules).toEqual([
      { path: '/a\u00a050', budgetMs: 90, importance: 5, line: 1 },
    ]);
  });

  it.each(['-1', '1e99', 'NaN', '0x10', '10001', '٥٠', '50ms', '1.2345'])('refuses budget %s', (budget) => {
    expect(parse(`/a ${budget} 50`)).toMatchObject({
      rules: [],
      errors: [{ code: 'SLO_E_BUDGET', column: 4 }],
    });
  });

  it('keeps the first of two rules for one path and names its line at the second', () => {
    const { rules, errors } = parse('/a 10 10\n# x\n  /a 20 20\n/b 1 1\n');
    expect(rules.map((r) => [r.path, r.budgetMs])).toEqual([
      ['/a', 10],
      ['/b', 1],
    ]);
    expect(errors).toEqual([
      {
        code: 'SLO_E_CONFIG_DUPLICATE',
        line: 3,
        column: 3,
        message: '/a has a rule in line 1 already; that one holds',
      },
    ]);
  });

  it('takes a bad line for the good ones of none', () => {
    const { rules, errors } = parse('/a 10 10\n/a/../b 1 1\n/c 30 30\n');
    expect(rules.map((r) => r.line)).toEqual([1, 3]);
    expect(errors.map((e) => e.line)).toEqual([2]);
  });

  it('reports bytes that are not UTF-8 where they stand', () => {
    const line = Buffer.concat([
      Buffer.from('/a 1 1\n/gr\u00fc'),
      Buffer.from([0xff]),
      Buffer.from('n 5 5\n/c 3 3'),
    ]);
    const { rules, errors } = parseConfig(line);
    expect(rules.map((r) => r.path)).toEqual(['/a', '/c']);
    expect(errors).toEqual([{ code: 'SLO_E_CONFIG_ENCODING', line: 2, column: 6, message: 'not UTF-8' }]);
  });

  it('reports a character that is cut at the end of the line', () => {
    expect(parseConfig(Buffer.from([0x2f, 0xc3])).errors).toMatchObject([{ line: 1, column: 2 }]);
  });

  it('refuses a line of 1 MB without printing it', () => {
    const { rules, errors } = parse(`/a 1 1\n/${'x'.repeat(1_000_000)} 5 5\n/b 2 2`);
    expect(rules.map((r) => r.path)).toEqual(['/a', '/b']);
    expect(errors).toMatchObject([{ code: 'SLO_E_CONFIG_LINE', line: 2 }]);
    expect(errors[0]?.message.length).toBeLessThan(80);
  });

  it('ignores a byte order mark at the start only', () => {
    expect(parse('\ufeff/a 1 1').rules).toHaveLength(1);
    expect(parse('/a 1 1\n\ufeff/b 1 1').errors).toMatchObject([{ code: 'SLO_E_CONFIG_PATH', line: 2 }]);
  });

  it('reads 100,000 lines in less than a second, also when all are bad', () => {
    const good = utf8.encode(Array.from({ length: 100_000 }, (_, i) => `/kubepods/pod${i} 50 90`).join('\n'));
    const bad = utf8.encode('/a 0x10 90\n'.repeat(100_000));
    for (const [bytes, rules, errors] of [
      [good, 100_000, 0],
      [bad, 0, 100_000],
    ] as const) {
      // CPU time: other work on the machine is not the parser's fault.
      const start = process.cpuUsage();
      const parsed = parseConfig(bytes);
      const { user, system } = process.cpuUsage(start);
      expect((user + system) / 1000).toBeLessThan(1000);
      expect([parsed.rules.length, parsed.errors.length]).toEqual([rules, errors]);
    }
  });

  it('accounts for every line of any bytes: blank, comment, rule or error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const { rules, errors } = parseConfig(bytes);
        const lines = [...rules, ...errors].map((item) => item.line);
        expect(new Set(lines).size).toBe(lines.length);
        for (const error of errors) {
          expect(error.column).toBeGreaterThanOrEqual(1);
          expect(error.message).toMatch(/^[\x20-\x7e]+$/);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('loads every good rule whatever stands between them', () => {
    const segment = fc.stringMatching(/^[a-z0-9_.-]{1,12}$/).filter((s) => s !== '.' && s !== '..');
    const rule = fc.record({
      path: fc.array(segment, { minLength: 1, maxLength: 4 }).map((s) => `/good/${s.join('/')}`),
      budgetMs: fc.integer({ min: 1, max: 10_000 }),
      importance: fc.integer({ min: 1, max: 100 }),
    });
    const noise = fc.string({ unit: 'binary' }).map((s) => s.replaceAll('\n', '').replaceAll('/good', ''));
    fc.assert(
      fc.property(
        fc.uniqueArray(rule, { selector: (r) => r.path }),
        fc.array(noise, { minLength: 1 }),
        (wanted, noises) => {
          const text = wanted
            .map((r, i) => `${noises[i % noises.length]}\n${r.path} ${r.budgetMs} ${r.importance}\n`)
            .join('');
          const found = parse(text).rules.filter((r) => r.path.startsWith('/good/'));
          expect(found.map(({ line: _, ...r }) => r)).toEqual(wanted);
        },
      ),
    );
  });

  it('ships a template that parses and changes nothing until it is edited', () => {
    expect(parse(CONFIG_TEMPLATE)).toEqual({ rules: [], errors: [] });
    const uncommented = CONFIG_TEMPLATE.replaceAll(/^#\//gm, '/');
    expect(parse(uncommented)).toMatchObject({
      errors: [],
      rules: [{ path: '/kubepods/critical/payment-api', budgetMs: 50, importance: 90 }, {}, {}],
    });
  });
});
