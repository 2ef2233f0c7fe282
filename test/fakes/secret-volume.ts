/** Certificate files as kubelet lays out a Secret volume: links into a directory that is swapped as a whole. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface PemPair {
  cert: string;
  key: string;
}

export class SecretVolume {
  readonly directory = mkdtempSync(join(tmpdir(), 'scx-slo-secret-'));
  #current: string | undefined;
  #version = 0;

  constructor(pair: PemPair) {
    symlinkSync('..data/tls.crt', this.certFile);
    symlinkSync('..data/tls.key', this.keyFile);
    this.swap(pair);
  }

  get certFile(): string {
    return join(this.directory, 'tls.crt');
  }

  get keyFile(): string {
    return join(this.directory, 'tls.key');
  }

  /** As kubelet does: a new directory, then one rename of the link `..data`, then the old directory goes. */
  swap({ cert, key }: PemPair): void {
    this.#version += 1;
    const name = `..version-${this.#version}`;
    mkdirSync(join(this.directory, name));
    writeFileSync(join(this.directory, name, 'tls.crt'), cert);
    writeFileSync(join(this.directory, name, 'tls.key'), key, { mode: 0o600 });
    symlinkSync(name, join(this.directory, '..data_tmp'));
    renameSync(join(this.directory, '..data_tmp'), join(this.directory, '..data'));
    if (this.#current !== undefined) {
      rmSync(join(this.directory, this.#current), { recursive: true });
    }
    this.#current = name;
  }

  /** The files are gone, their links dangle. */
  empty(): void {
    rmSync(join(this.directory, '..data'));
  }

  remove(): void {
    rmSync(this.directory, { recursive: true });
  }
}
