// JUnit XML, the part of it that says what happened to each test. Pure.

export interface TestOutcome {
  /** The file or group that the test belongs to. */
  readonly group: string;
  readonly name: string;
  readonly seconds: number;
  readonly state: 'passed' | 'failed' | 'skipped';
  /** The error of a failed test, the reason of a skipped one; otherwise empty. */
  readonly detail: string;
}

export function toJunit(suite: string, outcomes: readonly TestOutcome[]): string {
  const of = (state: TestOutcome['state']): number =>
    outcomes.filter((outcome) => outcome.state === state).length;
  const counts = `tests="${outcomes.length}" failures="${of('failed')}" skipped="${of('skipped')}" errors="0"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="${escapeXml(suite)}" ${counts}>`,
    `<testsuite name="${escapeXml(suite)}" ${counts}>`,
    ...outcomes.map(testcase),
    '</testsuite>',
    '</testsuites>\n',
  ].join('\n');
}

function testcase(outcome: TestOutcome): string {
  const names = `classname="${escapeXml(outcome.group)}" name="${escapeXml(outcome.name)}"`;
  const open = `<testcase ${names} time="${outcome.seconds}"`;
  const detail = escapeXml(outcome.detail);
  if (outcome.state === 'passed') return `${open}/>`;
  if (outcome.state === 'skipped') return `${open}><skipped message="${detail}"/></testcase>`;
  return `${open}><failure message="${detail}"/></testcase>`;
}

/** The outcomes in a JUnit file; undefined when the text is not one. Reads other tools' files too. */
export function fromJunit(xml: string): TestOutcome[] | undefined {
  const reader = new JunitReader();
  for (const token of tokens(xml)) {
    if (token.kind === 'text') reader.text(token.text);
    else reader.tag(token);
  }
  return reader.whole ? reader.outcomes : undefined;
}

class JunitReader {
  readonly outcomes: TestOutcome[] = [];
  #open: TestOutcome | undefined;
  #suites = 0;
  #depth = 0;

  get whole(): boolean {
    return this.#suites > 0 && this.#depth === 0;
  }

  /** Some tools put a failure's text inside the element. */
  text(text: string): void {
    if (this.#open?.state !== 'failed') return;
    this.#open = { ...this.#open, detail: `${this.#open.detail}\n${text}`.trim() };
  }

  tag(tag: Tag): void {
    if (tag.name === 'testsuites' || tag.name === 'testsuite') this.#suites += 1;
    if (tag.kind === 'open') this.#depth += 1;
    if (tag.kind === 'close') this.#depth -= 1;
    if (tag.name === 'testcase') this.#testcase(tag);
    else if (this.#open !== undefined && tag.kind !== 'close') {
      this.#open = withChild(this.#open, tag.name, tag.attributes);
    }
  }

  #testcase(tag: Tag): void {
    if (tag.kind !== 'close') this.#open = beginning(tag.attributes);
    if (tag.kind === 'open') return;
    if (this.#open !== undefined) this.outcomes.push(this.#open);
    this.#open = undefined;
  }
}

type Attributes = ReadonlyMap<string, string>;

function beginning(attributes: Attributes): TestOutcome {
  const group = attributes.get('classname') ?? '';
  const seconds = Number(attributes.get('time') ?? 0);
  return { group, name: attributes.get('name') ?? '', seconds, state: 'passed', detail: '' };
}

function withChild(outcome: TestOutcome, element: string, attributes: Attributes): TestOutcome {
  const detail = attributes.get('message') ?? '';
  if (element === 'failure' || element === 'error') return { ...outcome, state: 'failed', detail };
  if (element === 'skipped' && outcome.state !== 'failed') return { ...outcome, state: 'skipped', detail };
  return outcome;
}

interface Tag {
  readonly kind: 'open' | 'close' | 'empty';
  readonly name: string;
  readonly attributes: Attributes;
}

type Token = Tag | { readonly kind: 'text'; readonly text: string };

function* tokens(xml: string): Generator<Token> {
  const pattern =
    /<!\[CDATA\[(?<cdata>.*?)\]\]>|<!--.*?-->|<\?.*?\?>|<(?<close>\/?)(?<name>[A-Za-z][\w.:-]*)(?<attributes>(?:\s+[\w.:-]+\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*(?<empty>\/?)>|(?<text>[^<]+)/gs;
  for (const { groups } of xml.matchAll(pattern)) {
    if (groups?.cdata !== undefined) yield { kind: 'text', text: groups.cdata };
    else if (groups?.text !== undefined) yield { kind: 'text', text: unescapeXml(groups.text) };
    else if (groups?.name !== undefined) {
      const kind = groups.close === '/' ? 'close' : groups.empty === '/' ? 'empty' : 'open';
      yield { kind, name: groups.name, attributes: readAttributes(groups.attributes ?? '') };
    }
  }
}

function readAttributes(text: string): Attributes {
  const found = new Map<string, string>();
  for (const [, name = '', double, single] of text.matchAll(/([\w.:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g)) {
    found.set(name, unescapeXml(double ?? single ?? ''));
  }
  return found;
}

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/** Fit for an attribute: white space is kept by character references; what XML 1.0 cannot hold becomes U+FFFD. */
function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
    .replaceAll(/[\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`)
    .replaceAll(unfitForXml, '\u{fffd}');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const unfitForXml = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;

function unescapeXml(text: string): string {
  return text.replaceAll(/&(?:#x([0-9a-f]{1,6})|#([0-9]{1,7})|([a-z]+));/gi, (whole, hex, decimal, name) => {
    if (name !== undefined) return entities[name] ?? whole;
    const point = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    return point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });
}
