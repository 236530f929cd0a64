// The documents that are made of the sources: docs/cli.md of the commands' help, schemas/*.json of what --json prints.

const HEAD = `# The command line

Made by \`node scripts/documents.mjs\` of the commands' own help: \`hvkit help COMMAND\` prints the same. What \`--json\` prints has a schema
(JSON Schema 2020-12) below \`schemas/\`; with \`--json\` an error is an object on standard error, [schemas/error.json](../schemas/error.json),
and [errors.md](errors.md) lists its codes.
`;

/** The commands that do something, those of a group for themselves. */
function leaves(command) {
  return command.commands.length === 0 ? [command] : [...(command.parent ? [command] : []), ...command.commands.flatMap(leaves)];
}

const pathOf = (command) => (command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name());
const fileOf = (name) => `${name.replaceAll(" ", "-")}.json`;

/** @param hidden names of commands that are not in the help */
export function cliDocument(program, { helpText, outputs, hidden }) {
  const block = (command) => `\`\`\`text\n${helpText(command)}\`\`\`\n`;
  const sections = leaves(program)
    .filter((command) => !hidden.includes(command.name()))
    .map((command) => {
      const path = pathOf(command);
      const name = path.slice(program.name().length + 1);
      const schema = name in outputs ? `\nJSON: [schemas/${fileOf(name)}](../schemas/${fileOf(name)})\n` : "";
      return `## ${path}\n\n${block(command)}${schema}`;
    });
  return [HEAD, block(program), ...sections].join("\n");
}

/** By file name, below schemas/. */
export function schemaFiles({ outputs, errorOutput, toJSONSchema }) {
  const file = (title, schema) => `${JSON.stringify({ title, ...toJSONSchema(schema) }, null, 2)}\n`;
  return new Map([
    ...Object.entries(outputs).map(([name, schema]) => [fileOf(name), file(`hvkit ${name} --json`, schema)]),
    ["error.json", file("hvkit COMMAND --json, on standard error", errorOutput)],
  ]);
}
