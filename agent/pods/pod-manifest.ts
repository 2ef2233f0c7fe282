/**
 * The text of a manifest file: one YAML document or several (JSON is YAML), each a Pod or a List of them. A bad
 * document costs no other, and everything that is wrong has a line and a column.
 */
import {
  type Document,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
} from 'yaml';
import { printable } from '../../slo/printable.ts';
import { type JsonRecord, recordOf } from './json-view.ts';
import type { PlacedPod } from './pod-conflicts.ts';
import { readPod } from './pod-target.ts';
import type { SourceError } from './target.ts';

export interface ManifestPod extends PlacedPod {
  line: number;
  column: number;
}

export interface ParsedManifest {
  pods: ManifestPod[];
  errors: SourceError[];
  /** Part of the text is no YAML, so pods may be missing that are only badly written. */
  isBroken: boolean;
}

/** Deeper than any manifest; the YAML parser recurses and would take seconds to run out of stack. */
const DEPTH_MAX = 200;

/** Never throws. */
export function parseManifest(text: string, file: string, nodeName?: string): ParsedManifest {
  const manifest = new ManifestReader(file, nodeName);
  if (isTooDeep(text)) {
    manifest.broken(0, 'nested too deeply');
    return manifest;
  }
  try {
    for (const document of parseAllDocuments(text, { lineCounter: manifest.lines, prettyErrors: false })) {
      manifest.readDocument(document);
    }
  } catch (error) {
    manifest.broken(0, error instanceof Error ? error.message : String(error));
  }
  return manifest;
}

function isTooDeep(text: string): boolean {
  let depth = 0;
  for (let i = 0; i < text.length; i += 1) {
    const c = text[i];
    if (c === '[' || c === '{') {
      depth += 1;
      if (depth > DEPTH_MAX) {
        return true;
      }
    } else if (c === ']' || c === '}') {
      depth -= 1;
    }
  }
  return false;
}

type Path = readonly (string | number)[];

class ManifestReader implements ParsedManifest {
  readonly lines = new LineCounter();
  readonly pods: ManifestPod[] = [];
  readonly errors: SourceError[] = [];
  isBroken = false;
  readonly #file: string;
  readonly #nodeName: string | undefined;

  constructor(file: string, nodeName: string | undefined) {
    this.#file = file;
    this.#nodeName = nodeName;
  }

  readDocument(document: Document): void {
    const [error] = document.errors;
    if (error !== undefined) {
      this.broken(error.pos[0], error.message);
      return;
    }
    let content: unknown;
    try {
      content = document.toJS();
    } catch (cause) {
      // For example aliases that would multiply into gigabytes.
      this.broken(offsetOf(document, []), cause instanceof Error ? cause.message : String(cause));
      return;
    }
    if (content !== null) {
      this.#readObject(content, document, []);
    }
  }

  broken(offset: number, message: string): void {
    this.isBroken = true;
    this.#report('SLO_E_YAML', offset, printable(message, 160));
  }

  #readObject(content: unknown, document: Document, path: Path): void {
    const object = recordOf(content) ?? {};
    if (object.kind === 'List' && Array.isArray(object.items) && path.length === 0) {
      for (const [index, item] of object.items.entries()) {
        this.#readObject(item, document, ['items', index]);
      }
    } else if (object.kind === 'Pod' && object.apiVersion === 'v1') {
      this.#readPod(object, document, path);
    } else {
      const [version, kind] = [printable(object.apiVersion, 40), printable(object.kind, 40)];
      const message = `apiVersion ${version}, kind ${kind}: only pods (v1 Pod, or a List of them) are read here`;
      this.#report('SLO_E_KIND', offsetOf(document, path), message);
    }
  }

  #readPod(pod: JsonRecord, document: Document, path: Path): void {
    const { target, faults } = readPod(pod, { nodeName: this.#nodeName });
    for (const fault of faults) {
      this.#report(fault.code, offsetOf(document, [...path, ...fault.path]), fault.message);
    }
    if (target !== undefined) {
      this.pods.push({ target, file: this.#file, ...this.#position(offsetOf(document, path)) });
    }
  }

  #report(code: string, offset: number, message: string): void {
    this.errors.push({ code, file: this.#file, ...this.#position(offset), message });
  }

  #position(offset: number): { line: number; column: number } {
    const { line, col } = this.lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }
}

/** Where the value of `path` is written: at its key in a map; at the last part of the path that exists. */
function offsetOf(document: Document, path: Path): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? document.range?.[0] ?? 0;
  for (const segment of path) {
    const [key, value] = childOf(node, segment);
    const start = startOf(key) ?? startOf(value);
    if (start === undefined) {
      break;
    }
    offset = start;
    node = value;
  }
  return offset;
}

function childOf(node: unknown, segment: string | number): [key: unknown, value: unknown] {
  if (isMap(node)) {
    const pair = node.items.find(({ key }) => (isScalar(key) ? key.value : key) === segment);
    return [pair?.key, pair?.value];
  }
  return [undefined, isSeq(node) && typeof segment === 'number' ? node.items[segment] : undefined];
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? (node as Node).range?.[0] : undefined;
}
