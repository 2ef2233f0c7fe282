/**
 * What is in the image, as SPDX 2.3 JSON on standard output: `node manifests/image/sbom.ts ROOTFS IMAGE`. npm says which
 * packages were bundled, dpkg's control files in the image say which Debian packages were unpacked.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface SpdxPackage {
  SPDXID: string;
  name: string;
  versionInfo: string;
  [field: string]: unknown;
}

interface Relationship {
  spdxElementId: string;
  relatedSpdxElement: string;
  relationshipType: string;
}

export interface Spdx {
  spdxVersion: string;
  name: string;
  packages: SpdxPackage[];
  relationships: Relationship[];
  [field: string]: unknown;
}

const project = join(import.meta.dirname, '../..');

/** Of the lock file's production packages, by npm itself. */
const npmSbom = (): Spdx =>
  JSON.parse(
    execFileSync('npm', ['sbom', '--sbom-format', 'spdx', '--omit', 'dev', '--package-lock-only'], {
      cwd: project,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  );

/** `Name: value` lines of a Debian control file. */
const controlFields = (text: string): Map<string, string> =>
  new Map([...text.matchAll(/^([A-Za-z-]+): (.*)$/gm)].map(([, name = '', value = '']) => [name, value]));

export const debianPackage = (control: string): SpdxPackage => {
  const fields = controlFields(control);
  const [name = '', version = '', architecture = ''] = ['Package', 'Version', 'Architecture'].map((field) =>
    fields.get(field),
  );
  const locator = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}&distro=trixie`;
  return {
    SPDXID: `SPDXRef-Debian-${name.replace(/[^A-Za-z0-9.-]/g, '-')}`,
    name,
    versionInfo: version,
    supplier: `Organization: ${fields.get('Maintainer') ?? 'Debian'}`,
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
    licenseDeclared: 'NOASSERTION',
    externalRefs: [
      { referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: locator },
    ],
  };
};

const LIBBPF: SpdxPackage = {
  SPDXID: 'SPDXRef-libbpf',
  name: 'libbpf',
  // .ci/libbpf.sh builds it from Debian's source package of this version.
  versionInfo: '1.5.0',
  downloadLocation: 'NOASSERTION',
  filesAnalyzed: false,
  licenseDeclared: 'LGPL-2.1-only OR BSD-2-Clause',
};

export const withSystemPackages = (npm: Spdx, controls: readonly string[], image: string): Spdx => {
  const added = [...controls.map(debianPackage), LIBBPF];
  const root = npm.relationships.find(({ relationshipType }) => relationshipType === 'DESCRIBES');
  const owner = root?.relatedSpdxElement ?? 'SPDXRef-DOCUMENT';
  return {
    ...npm,
    name: image,
    packages: [...npm.packages, ...added],
    relationships: [
      ...npm.relationships,
      ...added.map(({ SPDXID }) => ({
        spdxElementId: owner,
        relatedSpdxElement: SPDXID,
        relationshipType: 'CONTAINS',
      })),
    ],
  };
};

if (import.meta.main) {
  const [, , rootfs = '', image = ''] = process.argv;
  const status = join(rootfs, 'var/lib/dpkg/status.d');
  const controls = readdirSync(status)
    .sort()
    .map((file) => readFileSync(join(status, file), 'utf8'));
  process.stdout.write(`${JSON.stringify(withSystemPackages(npmSbom(), controls, image), null, 1)}\n`);
}
