/** Replaced by the bundler (build.ts) with the version of package.json. */
declare const SCX_SLO_VERSION: string | undefined;

/** `dev` where the sources run unbundled. */
export const VERSION = typeof SCX_SLO_VERSION === 'string' ? SCX_SLO_VERSION : 'dev';
