/** A whole list, page by page, and the version of the store that it shows. */
import { type ApiFailure, apiFailure, isApiFailure, isExpired } from './api-failure.ts';
import type { KubeConnection } from './connection.ts';
import { type JsonObject, objectOf, textOf } from './json.ts';

export interface Selection {
  /** For example `/api/v1/pods`. */
  path: string;
  fieldSelector?: string | undefined;
  labelSelector?: string | undefined;
}

export interface ListRequest extends Selection {
  /** `0`: any, from the server's cache; empty: the newest, from the store; else not older than this. */
  resourceVersion: string;
  pageSize: number;
  signal: AbortSignal;
}

export interface Listed<T> {
  items: T[];
  resourceVersion: string;
}

/** @param project called for each object as its page comes, so that a whole page is never kept. */
export const listAll = async <T>(
  connection: KubeConnection,
  request: ListRequest,
  project: (object: JsonObject) => T | undefined,
): Promise<Listed<T> | ApiFailure> => {
  const paged = await listPages(connection, request, project);
  // The pages that follow are only kept for some minutes. One answer without pages is the way out.
  const lostItsPlace = isApiFailure(paged) && isExpired(paged) && request.pageSize > 0;
  return lostItsPlace ? await listPages(connection, { ...request, pageSize: 0 }, project) : paged;
};

const listPages = async <T>(
  connection: KubeConnection,
  { path, fieldSelector, labelSelector, resourceVersion, pageSize, signal }: ListRequest,
  project: (object: JsonObject) => T | undefined,
): Promise<Listed<T> | ApiFailure> => {
  const items: T[] = [];
  let token = '';
  for (;;) {
    const page = await connection.json({
      path,
      query: {
        fieldSelector,
        labelSelector,
        limit: pageSize === 0 ? undefined : pageSize,
        ...(token === '' ? versionQuery(resourceVersion) : { continue: token }),
      },
      signal,
    });
    if (isApiFailure(page)) return page;
    const objects = objectsOf(page);
    if (objects === undefined) return apiFailure('protocol', 'the answer to a list has no items');
    items.push(...objects.map(project).filter((item) => item !== undefined));
    const metadata = objectOf(page.metadata);
    token = textOf(metadata?.continue) ?? '';
    if (token === '') return { items, resourceVersion: textOf(metadata?.resourceVersion) ?? '' };
  }
};

/** A limit together with a version would mean exactly this version, if the match were not said. */
const versionQuery = (
  resourceVersion: string,
): { resourceVersion?: string; resourceVersionMatch?: string } => {
  if (resourceVersion === '') return {};
  return resourceVersion === '0'
    ? { resourceVersion }
    : { resourceVersion, resourceVersionMatch: 'NotOlderThan' };
};

/** A list without objects has `null`, or nothing. */
const objectsOf = ({ items }: JsonObject): JsonObject[] | undefined => {
  if (items === null || items === undefined) return [];
  return Array.isArray(items) ? items.map(objectOf).filter((item) => item !== undefined) : undefined;
};
