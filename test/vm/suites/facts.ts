// Figures that a suite measured, for build/test/vm-<kernel>.json. They inform; tests assert by themselves.
import { readFileSync, writeFileSync } from 'node:fs';

const FILE = '/out/facts.json';

const facts = (): Record<string, number | string> => {
  try {
    return JSON.parse(readFileSync(FILE, 'utf8'));
  } catch {
    return {};
  }
};

export const fact = (name: string, value: number | string): void =>
  writeFileSync(FILE, JSON.stringify({ ...facts(), [name]: value }));
