/** JSON Patch (RFC 6902), as far as it is written here: operations by hand, no diffing. */
import { apply_patch } from 'jsonpatch';

export type PatchOp =
  | { op: 'add' | 'replace'; path: string; value: unknown }
  | { op: 'remove'; path: string };

/**
 * A JSON Pointer (RFC 6901).
 *
 * @example pointer('metadata', 'annotations', 'scx-slo.io/mode') // '/metadata/annotations/scx-slo.io~1mode'
 */
export function pointer(...segments: readonly (string | number)[]): string {
  return segments.map((s) => `/${String(s).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** @returns the patched copy; throws where the patch does not fit the object */
export function applyPatch(object: unknown, ops: readonly PatchOp[]): unknown {
  return apply_patch(object, [...ops]);
}
