import { describe, expect, it } from 'vitest';
import { debianPackage, withSystemPackages } from '../../manifests/image/sbom.ts';

const CONTROL = `Package: libc6
Source: glibc
Version: 2:2.41-12+deb13u5
Architecture: amd64
Maintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>
Description: GNU C Library
 Version: not this one
`;

describe('the bill of materials', () => {
  it('names a Debian package so that scanners find it', () => {
    expect(debianPackage(CONTROL)).toMatchObject({
      SPDXID: 'SPDXRef-Debian-libc6',
      name: 'libc6',
      versionInfo: '2:2.41-12+deb13u5',
      externalRefs: [
        { referenceLocator: 'pkg:deb/debian/libc6@2%3A2.41-12%2Bdeb13u5?arch=amd64&distro=trixie' },
      ],
    });
  });

  it('puts system packages beside those of npm, each contained in what the document describes', () => {
    const npm = {
      spdxVersion: 'SPDX-2.3',
      name: 'scx-slo',
      packages: [{ SPDXID: 'SPDXRef-Package-scx-slo', name: 'scx-slo', versionInfo: '1' }],
      relationships: [
        {
          spdxElementId: 'SPDXRef-DOCUMENT',
          relatedSpdxElement: 'SPDXRef-Package-scx-slo',
          relationshipType: 'DESCRIBES',
        },
      ],
    };
    const whole = withSystemPackages(npm, [CONTROL], 'scx-slo:1');
    expect(whole.name).toBe('scx-slo:1');
    expect(whole.packages.map(({ name }) => name)).toEqual(['scx-slo', 'libc6', 'libbpf']);
    const contained = whole.relationships.filter(({ relationshipType }) => relationshipType === 'CONTAINS');
    expect(
      contained.map(({ spdxElementId, relatedSpdxElement }) => [spdxElementId, relatedSpdxElement]),
    ).toEqual([
      ['SPDXRef-Package-scx-slo', 'SPDXRef-Debian-libc6'],
      ['SPDXRef-Package-scx-slo', 'SPDXRef-libbpf'],
    ]);
  });
});
