/**
 * The last ends of our scheduler: in memory, and in DIR/exits so that they outlive the agent. One file a record,
 * complete or not there; whoever cannot write keeps them in memory.
 */
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type ExitRecord, parseExitRecord, RECORD_MAX_BYTES } from './exit-record.ts';
import { type Failure, failure, isFailure } from './failure.ts';
import { readRegularFile } from './pods/read-file.ts';

export const KEPT_EXITS = 3;
const KEPT_HOTPLUGS = 1;

/** exit-20261124T101502.123Z-stall.json: sorts by time. */
const FILE_NAME = /^exit-\d{8}T\d{6}\.\d{3}Z-([a-z]+)\.json$/;
const TEMPORARY = '.tmp';

const fileName = ({ at, class: what }: ExitRecord): string =>
  `exit-${at.replaceAll(/[-:]/g, '')}-${what}.json`;

/** Newest first in and out: the last few, and one hotplug. CPUs come and go often, and would push out the errors. */
const keepOf = <T>(things: readonly T[], classOf: (thing: T) => string | undefined): T[] => {
  const isHotplug = (thing: T) => classOf(thing) === 'hotplug';
  const kept = new Set([
    ...things.filter((thing) => !isHotplug(thing)).slice(0, KEPT_EXITS),
    ...things.filter(isHotplug).slice(0, KEPT_HOTPLUGS),
  ]);
  return things.filter((thing) => kept.has(thing));
};

const keptNames = (names: readonly string[]): string[] => keepOf(names, (name) => FILE_NAME.exec(name)?.[1]);
const keptRecords = (records: readonly ExitRecord[]): ExitRecord[] =>
  keepOf(records, (record) => record.class);

const exitsDir = (stateDir: string): string => join(stateDir, 'exits');

const errorCode = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error);

/** Names of the kept files, newest first. Failure: the directory is there and cannot be read. */
const namesIn = async (dir: string): Promise<string[] | Failure> => {
  try {
    return (await readdir(dir))
      .filter((name) => FILE_NAME.test(name))
      .sort()
      .reverse();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    const next = 'run as root, or look at the agent with curl 127.0.0.1:7090/v1/exits';
    return failure('SLO_E_STATE_DIR', `${dir} cannot be read`, errorCode(error), next);
  }
};

/** Newest first. Files that are no records are passed over. */
export const readExits = async (stateDir: string): Promise<ExitRecord[] | Failure> => {
  const dir = exitsDir(stateDir);
  const names = await namesIn(dir);
  if (isFailure(names)) return names;
  const records: ExitRecord[] = [];
  for (const name of keptNames(names)) {
    const bytes = await readRegularFile(join(dir, name), RECORD_MAX_BYTES);
    const record = 'problem' in bytes ? undefined : parseExitRecord(bytes.toString('utf8'));
    if (record !== undefined) records.push(record);
  }
  return records;
};

/** A dump names processes of all pods: only for root. */
const writeWhole = async (path: string, text: string): Promise<void> => {
  const handle = await open(`${path}${TEMPORARY}`, 'w', 0o600);
  try {
    await handle.writeFile(text);
    // the node may be about to go down
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${path}${TEMPORARY}`, path);
};

export class ExitStore {
  readonly #stateDir: string | undefined;
  readonly #onProblem: (problem: Failure) => void;
  #records: ExitRecord[] = [];
  #saving: Promise<void> = Promise.resolve();
  #told: boolean = false;

  /** @param stateDir undefined: memory only. @param onProblem at most once. */
  constructor(stateDir: string | undefined, onProblem: (problem: Failure) => void) {
    this.#stateDir = stateDir;
    this.#onProblem = onProblem;
  }

  /** Newest first, those of earlier agents too. */
  get records(): readonly ExitRecord[] {
    return this.#records;
  }

  /** Takes up what an earlier agent left. */
  async load(): Promise<void> {
    if (this.#stateDir === undefined) return;
    const found = await readExits(this.#stateDir);
    if (isFailure(found)) this.#tell(found);
    else this.#records = keptRecords([...this.#records, ...found]);
  }

  add(record: ExitRecord): void {
    this.#records = keptRecords([record, ...this.#records]);
    this.#saving = this.#saving.then(() => this.#save(record));
  }

  /** Resolves when everything added so far is on disk, or known not to get there. */
  async settled(): Promise<void> {
    await this.#saving;
  }

  async #save(record: ExitRecord): Promise<void> {
    if (this.#stateDir === undefined) return;
    const dir = exitsDir(this.#stateDir);
    try {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      await writeWhole(join(dir, fileName(record)), `${JSON.stringify(record)}\n`);
      await this.#clean(dir);
    } catch (error) {
      const next = 'make --state-dir writable, or leave it: the records are in memory and on /v1/exits';
      this.#tell(failure('SLO_E_STATE_DIR', `${dir} cannot be written`, errorCode(error), next));
    }
  }

  async #clean(dir: string): Promise<void> {
    const names = await namesIn(dir);
    const kept = new Set(isFailure(names) ? [] : keptNames(names));
    const old = isFailure(names) ? [] : names.filter((name) => !kept.has(name));
    const cut = (await readdir(dir)).filter(
      (name) => name.endsWith(TEMPORARY) && FILE_NAME.test(name.slice(0, -TEMPORARY.length)),
    );
    for (const name of [...old, ...cut]) await rm(join(dir, name), { force: true });
  }

  #tell(problem: Failure): void {
    if (this.#told) return;
    this.#told = true;
    this.#onProblem(problem);
  }
}
