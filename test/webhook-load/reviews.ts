/** What the API server sends: writes of pods of the usual size, most of them ours. */
import { admissionFixture } from '../fixtures/admission.ts';
import { Review } from './api-server.ts';

/** A pod as controllers make it is 3 to 8 kB with its managed fields; the fixtures are shorter. */
const SIZE_BYTES = 5600;

const MIX = ['create', 'create', 'create-container-override', 'create-inject', 'update', 'create-bad-values'];

interface PodReview {
  request: { object: { metadata: { managedFields?: unknown[] } } };
}

export const reviews = (): Review[] =>
  MIX.map((name) => {
    const review = admissionFixture(name) as PodReview;
    const missing = Math.max(0, SIZE_BYTES - JSON.stringify(review).length);
    const fields = Object.fromEntries(
      Array.from({ length: Math.floor(missing / 22) }, (_, index) => [`f:field-of-pod-${100 + index}`, {}]),
    );
    const { metadata } = review.request.object;
    metadata.managedFields = [...(metadata.managedFields ?? []), { manager: 'kubelet', fieldsV1: fields }];
    return new Review(review);
  });
