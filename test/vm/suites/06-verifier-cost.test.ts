// What this kernel's verifier has to do for each program, against the committed figures (docs/perf/verifier-cost.json).
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { expect } from 'vitest';
import { failureText, isFailure } from '../../../agent/failure.ts';
import { defaultKernelName, kernels } from '../kernels.ts';
import { measureVerifierCosts } from '../verifier-cost.ts';
import { abiOfRelease, type CommittedCosts, growthOf } from '../verifier-growth.ts';
import { testIf } from './applies.ts';
import { fact } from './facts.ts';

const committed: CommittedCosts = JSON.parse(readFileSync('docs/perf/verifier-cost.json', 'utf8'));
const abi = abiOfRelease(release());
const isDefault = kernels.some((kernel) => kernel.name === defaultKernelName && kernel.abi === abi);

testIf(abi in committed || isDefault)('no program became much harder to verify', async () => {
  const withScheduler = process.env.SCX_SLO_VM_EXPECTATION !== 'malformed-btf';
  const now = measureVerifierCosts([
    'observer',
    'cgroups',
    ...(withScheduler ? (['scheduler'] as const) : []),
  ]);
  if (isFailure(now)) throw new Error(failureText(now));
  const insns = Object.values(now).map((cost) => cost.insns);
  fact(
    'verifierInsns',
    insns.reduce((sum, count) => sum + count, 0),
  );
  fact('verifierInsnsOfTheHardest', Math.max(...insns));

  const kernel = kernels.find((candidate) => candidate.abi === abi)?.name ?? defaultKernelName;
  const next = `if it is meant: make verifier-cost KERNELS=${kernel}`;
  expect(growthOf(committed[abi] ?? {}, now), next).toEqual([]);
});
