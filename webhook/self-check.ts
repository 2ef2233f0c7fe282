/**
 * The last look at a patch before it leaves: does it apply, does it touch only what we may touch, and is the
 * result one that we would leave as it is? A fault here is a bug of ours, and must never become a broken pod.
 */
import type { AdmissionRequest } from './admission-review.ts';
import type { Mutation } from './mutate.ts';
import { applyPatch, type PatchOp } from './patch.ts';

/** Nothing that grants rights (securityContext, volumes, serviceAccountName ...) can match. */
const ALLOWED_PATHS = [
  /^\/metadata\/annotations$/,
  /^\/metadata\/annotations\/effective(-[a-z-]+)?\.scx-slo\.io~1[^/]*$/,
  /^\/spec\/containers\/[0-9]+\/env(\/-)?$/,
];

/** @returns what is wrong, or undefined */
export function selfCheck(
  request: AdmissionRequest,
  ops: readonly PatchOp[],
  mutate: (request: AdmissionRequest) => Mutation,
): string | undefined {
  const stray = ops.find((op) => !ALLOWED_PATHS.some((path) => path.test(op.path)));
  if (stray !== undefined) {
    return 'the patch leaves the allowed paths';
  }
  try {
    const object = applyPatch(request.object, ops);
    return mutate({ ...request, object }).ops.length === 0 ? undefined : 'the patch is not idempotent';
  } catch (error) {
    // Not the message: it may quote the object.
    return `the patch does not apply (${error instanceof Error ? error.constructor.name : typeof error})`;
  }
}
