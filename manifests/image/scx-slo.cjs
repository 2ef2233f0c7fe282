#!/usr/local/bin/node
// The command of the image; bin/scx-slo needs a shell, and there is none.
void import('/opt/scx-slo/dist/cli.mjs').then(async ({ main }) => {
  process.exitCode = await main(process.argv.slice(2));
});
