import { expect, test } from 'vitest';
import { layeredArguments } from './layered.ts';

test('latency pods come first, each matched whole, and the last layer takes the rest', () => {
  const [argument, ...more] = layeredArguments(['/kubepods/pod1', '/kubepods/burstable/pod2/']);
  expect(more).toEqual([]);
  expect(JSON.parse(String(argument))).toMatchObject([
    {
      matches: [[{ CgroupPrefix: 'kubepods/pod1/' }], [{ CgroupPrefix: 'kubepods/burstable/pod2/' }]],
      kind: { Open: { preempt: true } },
    },
    { matches: [[]], kind: { Open: {} } },
  ]);
});

test('no cgroup, or more than a layer can match, is refused', () => {
  expect(() => layeredArguments([])).toThrow('not 0');
  expect(() => layeredArguments(Array.from({ length: 33 }, (_, n) => `/pod${n}`))).toThrow('not 33');
});
