/**
 * The envelope: AdmissionReview (admission.k8s.io/v1) in and out. Only what is read is checked; the object stays
 * `unknown`, because at this point the API server has not validated it yet.
 */
import * as z from 'zod';
import type { PatchOp } from './patch.ts';

const groupVersionKind = z.looseObject({ group: z.string(), version: z.string(), kind: z.string() });

const admissionReview = z.looseObject({
  apiVersion: z.literal('admission.k8s.io/v1'),
  kind: z.literal('AdmissionReview'),
  request: z.looseObject({
    uid: z.string().min(1).max(256),
    kind: groupVersionKind,
    subResource: z.string().nullish(),
    operation: z.string(),
    namespace: z.string().nullish(),
    object: z.unknown(),
  }),
});

export type AdmissionRequest = z.infer<typeof admissionReview>['request'];

/** @returns the request, or what is wrong with the body, without a word of its content */
export function parseAdmissionReview(body: unknown): AdmissionRequest | string {
  const parsed = admissionReview.safeParse(body);
  if (parsed.success) {
    return parsed.data.request;
  }
  // The paths are those of the schema above, so they hold nothing that the sender chose.
  const paths = parsed.error.issues.map((issue) => issue.path.join('.') || 'the body');
  return `not an AdmissionReview of admission.k8s.io/v1: wrong or missing ${[...new Set(paths)].join(', ')}`;
}

export interface AdmissionReviewResponse {
  apiVersion: 'admission.k8s.io/v1';
  kind: 'AdmissionReview';
  response: {
    uid: string;
    allowed: true;
    patchType?: 'JSONPatch';
    /** Base64 of the JSON of the operations. */
    patch?: string;
    warnings?: string[];
    auditAnnotations: { decision: string };
  };
}

/** Always allows: this product never blocks a pod. */
export function admissionResponse(
  uid: string,
  decision: string,
  ops: readonly PatchOp[],
  warnings: readonly string[],
): AdmissionReviewResponse {
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: {
      uid,
      allowed: true,
      ...(ops.length > 0
        ? { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(ops)).toString('base64') }
        : {}),
      ...(warnings.length > 0 ? { warnings: [...warnings] } : {}),
      auditAnnotations: { decision },
    },
  };
}
