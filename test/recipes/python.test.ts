import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { recipeContract } from './recipe-contract.ts';

const python = (): string[] | string => {
  try {
    execFileSync('python3', ['--version'], { stdio: 'ignore' });
    return ['python3', join(import.meta.dirname, 'asgi_server.py')];
  } catch {
    return 'there is no python3 on this machine';
  }
};

recipeContract({ name: 'Python', prepare: python });
