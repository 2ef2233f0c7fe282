// The command that a guest runs, as the shell script that guest.sh starts.

/** A script that sets `env` and becomes `command`; every word reaches the program unchanged. */
export function commandScript(command: readonly string[], env: Readonly<Record<string, string>>): string {
  const exports = Object.entries(env).map(([name, value]) => {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      throw new Error(`not a name of an environment variable: ${name}`);
    return `export ${name}=${shellWord(value)}\n`;
  });
  return `${exports.join('')}exec ${command.map(shellWord).join(' ')}\n`;
}

/** One word for a POSIX shell, whatever it contains. */
export function shellWord(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
