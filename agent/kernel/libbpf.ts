/**
 * The only file that calls foreign code: libbpf.so.1 and a few functions of libc, through koffi. It hands out
 * opaque handles and ArrayBuffers. Rules that the callers rely on, all measured with koffi 3.3.4:
 * - Buffers from `memory()` are views of foreign memory: reading one after it was unmapped would kill the
 *   process. `forget()` detaches the buffer, after which every typed array on it is empty.
 * - An exception in a callback makes koffi skip the rest of the batch, so bodies of callbacks never throw.
 */
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import koffi, { type LibraryHandle } from 'koffi';
import { type Failure, failure } from '../failure.ts';

/** libbpf 1.5 is the first that skips zeroed struct_ops members which the running kernel lacks. */
const MIN_VERSION: readonly [number, number] = [1, 5];
const LOG_LINES = 40;
const MAX_LOG_BYTES = 16 * 1024 * 1024;
const MAX_LINE_LENGTH = 500;
/** Enough for a va_list on x86-64 (24 bytes) and arm64 (32), the machines that we support. */
const VA_LIST_BYTES = 32;
const LEVEL_INFO = 1;
/** BPF_LOG_STATS: some lines of the verifier's own figures for each program. */
const LOG_STATS = 4;
const STATS_LOG_BYTES = 16 * 1024;
/** struct bpf_test_run_opts of libbpf 1.5: its size, and where the program's return value is. */
const RUN_OPTS_BYTES = 80;
const RUN_OPTS_RETVAL = 56;
const MAP_FAILED = 0xffffffffffffffffn;
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;

export type ObjectHandle = bigint & { readonly __handle: 'object' };
export type MapHandle = bigint & { readonly __handle: 'map' };
export type ProgramHandle = bigint & { readonly __handle: 'program' };
export type LinkHandle = bigint & { readonly __handle: 'link' };
export type RingHandle = bigint & { readonly __handle: 'ring' };

/** 0 or more: what the C function returned; negative: -errno. */
export type Result = number;

/** `length` bytes at `pointer` are valid until the callback returns. */
export type SampleCallback = (copyTo: (target: Uint8Array) => number, length: number) => void;

export interface PollHandle {
  close(): void;
}

export type Libbpf = ReturnType<typeof bind>;

const here = dirname(fileURLToPath(import.meta.url));

/** Own build next to the checkout or bundle first: distributions carry versions that are too old. */
const libraryPath = (): string => {
  const explicit = process.env.SCX_SLO_LIBBPF;
  if (explicit) return explicit;
  const candidates = ['../../build/lib', '../lib', './lib', '.'].map((d) => join(here, d, 'libbpf.so.1'));
  return candidates.find((path) => existsSync(path)) ?? 'libbpf.so.1';
};

let loaded: Libbpf | Failure | undefined;

/** Loads the library once in a process; a Failure names the file and what to install. */
export const loadLibbpf = (): Libbpf | Failure => {
  loaded ??= tryLoad(libraryPath());
  return loaded;
};

const tryLoad = (path: string): Libbpf | Failure => {
  const next = 'run `make setup`, or set SCX_SLO_LIBBPF to a libbpf.so.1 of version 1.5 or newer';
  try {
    const library = koffi.load(path);
    const major = library.func('uint32_t libbpf_major_version()')() as number;
    const minor = library.func('uint32_t libbpf_minor_version()')() as number;
    if (major < MIN_VERSION[0] || (major === MIN_VERSION[0] && minor < MIN_VERSION[1])) {
      return failure('SLO_E_LIBBPF', `${path} is too old`, `it is ${major}.${minor}, 1.5 is needed`, next);
    }
    return bind(library, koffi.load('libc.so.6'), `${major}.${minor}`);
  } catch (error) {
    return failure('SLO_E_LIBBPF', `${path} could not be loaded`, String(error), next);
  }
};

const errnoNames = new Map(Object.entries(koffi.os.errno).map(([name, value]) => [value, name]));

/** `-16` -> `EBUSY`. */
export const errnoName = (result: Result): string => errnoNames.get(-result) ?? `errno ${-result}`;

/** libbpf 1.x returns NULL and sets errno, or -errno. Both become -errno here. */
const orErrno = <T extends bigint>(pointer: T | null): T | Result =>
  pointer === null || pointer === 0n ? -koffi.errno() : pointer;

/** Collects what libbpf prints, so that a failure can carry the verifier's last lines. */
const recordLog = (library: LibraryHandle, libc: LibraryHandle): string[] => {
  const lines: string[] = [];
  const format = libc.func('int vsnprintf(void *, size_t, void *, void *)');
  const copy = libc.func('void *memcpy(void *, void *, size_t)');
  const add = (fmt: bigint, args: bigint): void => {
    // C may read a va_list once only: a copy gives the length, the original the text
    const measured = Buffer.alloc(VA_LIST_BYTES);
    copy(measured, args, VA_LIST_BYTES);
    const length = Math.min(format(null, 0, fmt, measured) as number, MAX_LOG_BYTES);
    if (length <= 0) return;
    const text = Buffer.alloc(length + 1);
    format(text, text.length, fmt, args);
    const fresh = text.toString('latin1', 0, length).split('\n').filter(Boolean).slice(-LOG_LINES);
    lines.push(...fresh.map((line) => line.slice(0, MAX_LINE_LENGTH)));
    lines.splice(0, lines.length - LOG_LINES);
  };
  const proto = koffi.proto('int scx_slo_print(int level, void *fmt, void *args)');
  const print = (level: number, fmt: bigint, args: bigint): number => {
    try {
      if (level < LEVEL_INFO) add(fmt, args);
    } catch {
      // a lost log line must not become a failed load
    }
    return 0;
  };
  library.func('void *libbpf_set_print(void *)')(koffi.register(print, koffi.pointer(proto)));
  return lines;
};

const bind = (library: LibraryHandle, libc: LibraryHandle, version: string) => {
  const log = recordLog(library, libc);
  const c = {
    open: library.func('void *bpf_object__open_file(str, void *)'),
    load: library.func('int bpf_object__load(void *)'),
    close: library.func('void bpf_object__close(void *)'),
    btf: library.func('void *bpf_object__btf(void *)'),
    btfRaw: library.func('void *btf__raw_data(void *, _Out_ uint32_t *)'),
    findMap: library.func('void *bpf_object__find_map_by_name(void *, str)'),
    nextMap: library.func('void *bpf_object__next_map(void *, void *)'),
    mapName: library.func('str bpf_map__name(void *)'),
    mapFd: library.func('int bpf_map__fd(void *)'),
    mapType: library.func('uint32_t bpf_map__type(void *)'),
    maxEntries: library.func('uint32_t bpf_map__max_entries(void *)'),
    valueSize: library.func('uint32_t bpf_map__value_size(void *)'),
    setMaxEntries: library.func('int bpf_map__set_max_entries(void *, uint32_t)'),
    setAutocreate: library.func('int bpf_map__set_autocreate(void *, bool)'),
    initialValue: library.func('void *bpf_map__initial_value(void *, _Out_ size_t *)'),
    attachStructOps: library.func('void *bpf_map__attach_struct_ops(void *)'),
    nextProgram: library.func('void *bpf_object__next_program(void *, void *)'),
    programName: library.func('str bpf_program__name(void *)'),
    setAutoload: library.func('int bpf_program__set_autoload(void *, bool)'),
    autoload: library.func('bool bpf_program__autoload(void *)'),
    setLogLevel: library.func('int bpf_program__set_log_level(void *, uint32_t)'),
    setLogBuffer: library.func('int bpf_program__set_log_buf(void *, void *, size_t)'),
    programFd: library.func('int bpf_program__fd(void *)'),
    testRun: library.func('int bpf_prog_test_run_opts(int, void *)'),
    attach: library.func('void *bpf_program__attach(void *)'),
    destroyLink: library.func('int bpf_link__destroy(void *)'),
    update: library.func('int bpf_map_update_elem(int, void *, void *, uint64_t)'),
    remove: library.func('int bpf_map_delete_elem(int, void *)'),
    batch: library.func(
      'int bpf_map_lookup_batch(int, void *, void *, void *, void *, _Inout_ uint32_t *, void *)',
    ),
    ringNew: library.func('void *ring_buffer__new(int, void *, void *, void *)'),
    ringFree: library.func('void ring_buffer__free(void *)'),
    ringConsume: library.func('int ring_buffer__consume_n(void *, size_t)'),
    ringEpollFd: library.func('int ring_buffer__epoll_fd(void *)'),
    mmap: libc.func('void *mmap(void *, size_t, int, int, int, long)'),
    munmap: libc.func('int munmap(void *, size_t)'),
    memcpy: libc.func('void *memcpy(void *, void *, size_t)'),
    trim: libc.func('int malloc_trim(size_t)'),
  };
  const sampleProto = koffi.proto('int scx_slo_sample(void *ctx, void *data, size_t size)');
  const addresses = new WeakMap<ArrayBuffer, bigint>();

  const memory = (pointer: bigint, length: number): ArrayBuffer => {
    const buffer = koffi.view(pointer, length);
    addresses.set(buffer, pointer);
    return buffer;
  };

  /** Runs a blocking call on libuv's pool; resolves when it returns, however long that takes. */
  const inBackground = <T>(call: ReturnType<LibraryHandle['func']>, argument: bigint): Promise<T> =>
    new Promise((resolve, reject) => {
      call.async(argument, (error: unknown, result: T) => (error ? reject(error) : resolve(result)));
    });

  return {
    version,
    /** The last lines that libbpf printed, the verifier's among them; newest last. */
    recentLog: (): string[] => [...log],
    clearLog: (): void => {
      log.length = 0;
    },

    openObject: (path: string) => orErrno<ObjectHandle>(c.open(path, null)),
    loadObject: (object: ObjectHandle): Result => {
      const result: Result = c.load(object);
      // libbpf had the kernel's whole BTF in memory: give it back, the agent stays for months
      c.trim(0);
      return result;
    },
    closeObject: (object: ObjectHandle): void => c.close(object),
    /** A copy of the object's BTF, with the offsets that libbpf settled. */
    objectBtf: (object: ObjectHandle): Uint8Array => {
      const size = [0];
      const data = c.btfRaw(c.btf(object), size) as bigint | null;
      return data ? new Uint8Array(koffi.view(data, size[0] ?? 0)).slice() : new Uint8Array();
    },

    findMap: (object: ObjectHandle, name: string): MapHandle | undefined =>
      c.findMap(object, name) || undefined,
    nextMap: (object: ObjectHandle, after: MapHandle | null): MapHandle | undefined =>
      c.nextMap(object, after) || undefined,
    mapName: (map: MapHandle): string => c.mapName(map),
    mapFd: (map: MapHandle): number => c.mapFd(map),
    /** enum bpf_map_type. */
    mapType: (map: MapHandle): number => c.mapType(map),
    maxEntries: (map: MapHandle): number => c.maxEntries(map),
    valueSize: (map: MapHandle): number => c.valueSize(map),
    setMaxEntries: (map: MapHandle, entries: number): Result => c.setMaxEntries(map, entries),
    setAutocreate: (map: MapHandle, create: boolean): Result => c.setAutocreate(map, create),
    /** The memory behind a data section (before and after load) or a struct_ops map (before load only). */
    initialValue: (map: MapHandle): ArrayBuffer | undefined => {
      const size = [0];
      const data = c.initialValue(map, size) as bigint | null;
      return data ? memory(data, Number(size[0])) : undefined;
    },

    nextProgram: (object: ObjectHandle, after: ProgramHandle | null): ProgramHandle | undefined =>
      c.nextProgram(object, after) || undefined,
    programName: (program: ProgramHandle): string => c.programName(program),
    autoload: (program: ProgramHandle): boolean => c.autoload(program),
    setAutoload: (program: ProgramHandle, load: boolean): Result => c.setAutoload(program, load),
    /**
     * Before load: the verifier states what the program cost. After load, `take` answers with that text (empty: not
     * loaded) and frees it; the object must not be loaded again then.
     */
    logVerifierStats: (program: ProgramHandle): { take(): string } => {
      const pointer = koffi.alloc('uint8_t', STATS_LOG_BYTES) as bigint;
      const buffer: ArrayBuffer = koffi.view(pointer, STATS_LOG_BYTES);
      const bytes = new Uint8Array(buffer).fill(0);
      c.setLogLevel(program, LOG_STATS);
      c.setLogBuffer(program, pointer, STATS_LOG_BYTES);
      return {
        take: () => {
          const text = Buffer.from(bytes).toString('latin1', 0, bytes.indexOf(0));
          c.setLogBuffer(program, null, 0);
          buffer.transfer();
          koffi.free(pointer);
          return text;
        },
      };
    },
    /** Runs a program that was loaded, once. */
    runProgram: (program: ProgramHandle): { returned: number; failed?: Result } => {
      const options = new DataView(new ArrayBuffer(RUN_OPTS_BYTES));
      options.setBigUint64(0, BigInt(RUN_OPTS_BYTES), true);
      const result: Result = c.testRun(c.programFd(program), new Uint8Array(options.buffer));
      const returned = options.getUint32(RUN_OPTS_RETVAL, true);
      return result < 0 ? { returned, failed: result } : { returned };
    },
    attachProgram: (program: ProgramHandle) => orErrno<LinkHandle>(c.attach(program)),
    destroyLink: (link: LinkHandle): Result => c.destroyLink(link),

    /** Both may block for as long as the kernel takes to walk all tasks; undefined: see recentLog(). */
    attachStructOps: (map: MapHandle): Promise<LinkHandle | undefined> =>
      inBackground<LinkHandle | null>(c.attachStructOps, map).then((link) => link || undefined),
    destroyLinkInBackground: (link: LinkHandle): Promise<Result> => inBackground(c.destroyLink, link),

    updateElement: (fd: number, key: NodeJS.TypedArray, value: NodeJS.TypedArray): Result =>
      c.update(fd, key, value, 0),
    deleteElement: (fd: number, key: NodeJS.TypedArray): Result => c.remove(fd, key),
    /** Reads up to `keys.length` entries of a hash map in one call; the answer is their number or -errno. */
    readHash: (fd: number, keys: BigUint64Array, values: Uint32Array): Result => {
      const count = [keys.length];
      const result = c.batch(fd, null, new Uint32Array(2), keys, values, count, null) as number;
      // ENOENT: that was all of it
      return result === 0 || result === -constants.errno.ENOENT ? (count[0] ?? 0) : result;
    },

    /** The callback must not throw. It is called from `ringConsume` only. */
    openRing: (mapFd: number, onSample: SampleCallback): { ring: RingHandle; free(): void } | Result => {
      const sample = (_: unknown, data: bigint, size: number): number => {
        onSample((target) => {
          const length = Math.min(Number(size), target.byteLength);
          c.memcpy(target, data, length);
          return length;
        }, Number(size));
        return 0;
      };
      const callback = koffi.register(sample, koffi.pointer(sampleProto));
      const ring = orErrno<RingHandle>(c.ringNew(mapFd, callback, null, null));
      if (typeof ring === 'number') {
        koffi.unregister(callback);
        return ring;
      }
      const free = () => {
        c.ringFree(ring);
        koffi.unregister(callback);
      };
      return { ring, free };
    },
    /** Number of samples taken, at most `limit`, or -errno. */
    ringConsume: (ring: RingHandle, limit: number): Result => c.ringConsume(ring, limit),
    ringEpollFd: (ring: RingHandle): number => c.ringEpollFd(ring),

    mapMemory: (fd: number, length: number): ArrayBuffer | Result => {
      const pointer = c.mmap(null, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) as bigint;
      return pointer === MAP_FAILED ? -koffi.errno() : memory(pointer, length);
    },
    unmapMemory: (buffer: ArrayBuffer): void => {
      const pointer = addresses.get(buffer);
      const length = buffer.byteLength;
      if (pointer === undefined || length === 0) return;
      buffer.transfer();
      c.munmap(pointer, length);
    },
    /** Empties a buffer whose memory somebody else is about to free. */
    forget: (buffer: ArrayBuffer): void => {
      if (!buffer.detached) buffer.transfer();
    },

    /** Calls back from the event loop while `fd` is readable (level-triggered). Throws where koffi cannot. */
    pollReadable: (fd: number, onReadable: () => void): PollHandle =>
      koffi.node.poll(fd, { readable: true }, onReadable),
  };
};
