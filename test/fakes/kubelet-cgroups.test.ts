import { expect, test } from 'vitest';
import { cpuMaxOf, cpuWeightOf } from './kubelet-cgroups.ts';

test('weights and limits are those that a real kubelet wrote', () => {
  expect(cpuWeightOf(200)).toBe(8);
  expect(cpuMaxOf(500)).toBe('50000 100000');
  expect(cpuMaxOf(undefined)).toBe('max 100000');
});

test('weights stay within what the kernel takes', () => {
  expect(cpuWeightOf(0)).toBe(1);
  expect(cpuWeightOf(1e9)).toBe(10_000);
});

test('requests of 3:1 and 2:1 are weights of 3:1 and 2:1', () => {
  expect(cpuWeightOf(600)).toBe(3 * cpuWeightOf(200));
  expect(cpuWeightOf(400)).toBe(2 * cpuWeightOf(200));
});
