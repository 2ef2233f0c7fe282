import { describe, expect, it } from 'vitest';
import { ADMISSION_FIXTURES, admissionFixture } from '../test/fixtures/admission.ts';
import { type Admitted, admit } from './admit.ts';
import { applyPatch, type PatchOp } from './patch.ts';

const UID = '0df28fbd-5f5f-11e8-bc74-36e6bb280816';

function admitted(body: unknown): Admitted {
  const answer = admit(body);
  if (answer.status !== 200) {
    throw new Error(answer.message);
  }
  return answer;
}

function opsOf(answer: Admitted): PatchOp[] {
  const { patch } = answer.review.response;
  return patch === undefined ? [] : JSON.parse(Buffer.from(patch, 'base64').toString('utf8'));
}

const run = (name: string) => {
  const body = admissionFixture(name) as { request: { object: unknown } };
  const answer = admitted(body);
  const ops = opsOf(answer);
  return {
    decision: answer.decision,
    ops,
    warnings: answer.review.response.warnings ?? [],
    result: applyPatch(body.request.object, ops) as {
      metadata: { annotations: Record<string, string> };
      spec: { containers: { name: string; env?: { name: string; value: string }[] | null }[] };
    },
  };
};

const record = (budget: string, importance: string, source = 'pod') => ({
  'effective.scx-slo.io/budget-ms': budget,
  'effective.scx-slo.io/importance': importance,
  'effective.scx-slo.io/source': source,
});

describe('admit', () => {
  it.each(ADMISSION_FIXTURES.filter((name) => !name.startsWith('bad')))(
    'allows %s and echoes its uid',
    (name) => {
      const { response, ...envelope } = admitted(admissionFixture(name)).review;
      expect(envelope).toEqual({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' });
      expect(response).toMatchObject({ uid: UID, allowed: true });
      expect(response.patchType).toBe(response.patch === undefined ? undefined : 'JSONPatch');
      for (const warning of response.warnings ?? []) {
        expect(warning.length).toBeLessThanOrEqual(128);
      }
    },
  );

  it('records the effective values on a new pod', () => {
    const { decision, result, warnings } = run('create');
    expect(decision).toBe('patched');
    expect(result.metadata.annotations).toEqual({
      'scx-slo.io/budget-ms': '50',
      'scx-slo.io/importance': '90',
      ...record('50', '90'),
    });
    expect(warnings).toEqual([]);
  });

  it('gives the same answer to a dry run and to a pod without a name', () => {
    expect(run('create-dry-run').ops).toEqual(run('create').ops);
    expect(run('create-generate-name').ops).toEqual(run('create').ops);
  });

  it.each(['create-no-annotations', 'create-null-annotations'])('leaves ordinary work alone: %s', (name) => {
    expect(run(name)).toMatchObject({ decision: 'unchanged', ops: [], warnings: [] });
  });

  it('admits bad values without a record and names key, value and range', () => {
    const { decision, ops, warnings } = run('create-bad-values');
    expect({ decision, ops }).toEqual({ decision: 'unchanged', ops: [] });
    expect(warnings).toEqual([
      'scx-slo.io/budget-ms: "fast" is not 1 .. 10000 (decimal ms); ignored',
      'scx-slo.io/importance: "101" is not 1 .. 100 (integer); ignored',
      'scx-slo.io/mode: "turbo" is not observe, advisory, enforce; ignored',
      'budget-ms.scx-slo.io/db: the pod has no such container; ignored',
      'scx-slo.io/budget: unknown key; ignored',
    ]);
  });

  it('overwrites and removes a forged record, and says what was cut', () => {
    const { result, warnings } = run('create-forged-record');
    expect(result.metadata.annotations).toEqual({
      'scx-slo.io/budget-ms': '50',
      'scx-slo.io/importance': '95',
      ...record('50', '90'),
      'effective.scx-slo.io/clamped': 'importance:95>90',
    });
    expect(warnings).toEqual(["scx-slo.io/importance: 95 is above the namespace's maximum; 90 holds"]);
  });

  it('keeps keys with ~ and / apart from ours', () => {
    const { result } = run('create-escaped-keys');
    expect(result.metadata.annotations).toEqual({
      'scx-slo.io/budget-ms': '50',
      'scx-slo.io/importance': '90',
      'example.com/a~b': '1',
      'example.com/c~1d': '2',
      'weird/key/~0': '3',
      ...record('50', '90'),
    });
  });

  it('records a container that differs from its pod', () => {
    const { annotations } = run('create-container-override').result.metadata;
    expect(annotations).toMatchObject({
      ...record('50', '90'),
      'effective-budget-ms.scx-slo.io/log': '1000',
      'effective-importance.scx-slo.io/log': '5',
    });
  });

  it('adds the endpoint to containers that lack it, on CREATE only', () => {
    const envOf = (name: string) => run(name).result.spec.containers.map((c) => [c.name, c.env]);
    const endpoint = { name: 'SCX_SLO_ENDPOINT', value: 'http://scx-slo-signal.scx-slo-system.svc:7080' };
    const password = { name: 'DB_PASSWORD', value: 'correct-horse-battery-staple' };
    expect(envOf('create-inject')).toEqual([
      ['api', [password, endpoint]],
      ['log', [endpoint]],
    ]);
    expect(envOf('create-inject-mixed')).toEqual([
      ['api', [password, endpoint]],
      ['log', [endpoint]],
      ['own', [{ name: 'SCX_SLO_ENDPOINT', value: 'http://127.0.0.1:7080' }]],
    ]);
    expect(envOf('update')).toEqual([
      ['api', [password]],
      ['log', undefined],
    ]);
  });

  it('warns where no sidecar is configured, and adds the endpoint all the same', () => {
    const { warnings, result } = run('create-inject-sidecar');
    expect(warnings).toEqual([
      'scx-slo.io/inject: "sidecar": no sidecar image is configured in this cluster; only SCX_SLO_ENDPOINT was added',
    ]);
    expect(result.spec.containers.map(({ env }) => env?.at(-1)?.name)).toEqual([
      'SCX_SLO_ENDPOINT',
      'SCX_SLO_ENDPOINT',
    ]);
  });

  it('follows an edit, and takes the record away with the SLO', () => {
    expect(run('update').result.metadata.annotations).toMatchObject(record('20', '90'));
    expect(run('update-slo-removed').result.metadata.annotations).toEqual({});
  });

  it.each([
    'create-mirror',
    'create-opted-out',
    'delete',
    'connect-exec',
    'create-deployment',
    'update-status',
  ])('skips %s', (name) => {
    expect(admitted(admissionFixture(name))).toMatchObject({ decision: 'skipped', summary: { ops: 0 } });
  });

  it.each([
    ['bad-version', 'apiVersion'],
    ['bad-kind', 'kind'],
    ['bad-uid', 'request.uid'],
    ['bad-no-request', 'request'],
  ])('refuses %s in plain words', (name, path) => {
    expect(admit(admissionFixture(name))).toEqual({
      status: 400,
      decision: 'refused',
      message: `not an AdmissionReview of admission.k8s.io/v1: wrong or missing ${path}`,
    });
  });

  it.each([undefined, null, [], 'x', 7, {}])('refuses %j', (body) => {
    expect(admit(body).status).toBe(400);
  });

  it.each([
    ['does not apply', { op: 'remove', path: '/metadata/annotations/effective.scx-slo.io~1x' }],
    ['leaves the allowed paths', { op: 'add', path: '/spec/hostNetwork', value: true }],
    ['leaves the allowed paths', { op: 'add', path: '/spec/containers/0/securityContext', value: {} }],
    ['is not idempotent', { op: 'add', path: '/spec/containers/0/env/-', value: { name: 'X' } }],
  ] as const)('fails open when our own patch %s', (fault, op) => {
    const answer = admit(admissionFixture('create'), () => ({
      decision: 'patched',
      ops: [op],
      warnings: [],
    }));
    expect(answer).toMatchObject({
      status: 200,
      decision: 'failed',
      review: { response: { uid: UID, allowed: true } },
      summary: { fault: expect.stringContaining(fault) },
    });
    expect(answer).not.toHaveProperty('review.response.patch');
    expect(answer).toHaveProperty('review.response.warnings', [expect.stringContaining('internal fault')]);
  });

  it('fails open when the decision throws', () => {
    const answer = admit(admissionFixture('create'), () => {
      throw new TypeError('secret');
    });
    expect(answer).toMatchObject({ status: 200, decision: 'failed' });
    expect(JSON.stringify(answer)).not.toContain('secret');
  });
});
