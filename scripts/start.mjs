#!/usr/bin/env node
// npm start: from a fresh clone to Debian's kernel as a guest. Sets up what is missing, boots the hypervisor in the best engine, starts
// the Linux guest and a second one of another kind, shows the Linux console until user space, then what a newcomer wants to see.
// On a terminal it leaves the user on the Linux console; without one it shuts down and exits 0. Arguments go to `hvkit up`.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { Report, StepFailed } from "./lib/setup/report.mjs";
import { fail, root, setup } from "./setup.mjs";

const MAIN = join(root, "build/js/control/src/cli/main.js");
const LANDMARK = "hvkit: user space reached";
const PATIENCE_MS = 300_000;
/** after the landmark, for what the guest's init says next */
const AFTER_MS = 2000;

/** Runs hvkit as a user would; its standard output is shown, or given back. */
function hvkit(args, { show = true } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["inherit", show ? "inherit" : "pipe", "inherit"] });
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (part) => {
      text += part;
    });
    child.on("close", (code) => (code === 0 ? resolve(text.trim()) : reject(new StepFailed(`hvkit ${args.join(" ")} failed`))));
  });
}

async function main() {
  const report = new Report();
  await setup(report);
  const { Client, Console } = await import(join(root, "build/js/control/src/client/index.js"));
  const interactive = process.stdin.isTTY === true && process.stdout.isTTY === true;

  const found = JSON.parse(await hvkit(["status", "--json"], { show: false }));
  const wasUp = found.state !== "down";
  report.title("start");
  await report.step("up", async () => {
    if (wasUp) return "the hypervisor is up already";
    await hvkit(["up", ...process.argv.slice(2)], { show: false });
    const { engine, hypervisor } = JSON.parse(await hvkit(["status", "--json"], { show: false }));
    return `${hypervisor.vendor} on ${engine.name} (${engine.accel})`;
  });

  const client = await Client.connect();
  try {
    const names = await freeNames(client, ["linux", "hello"]);
    await report.step("run", async () => {
      await client.call("run", { image: "linux", name: names.linux });
      await client.call("run", { image: "hello64", name: names.hello });
      return `guests ${names.linux} and ${names.hello}`;
    });
    await report.step(
      "boot",
      async () => {
        console.log();
        await showConsole(client, Console, names.linux);
        console.log("\n");
        return "Linux, to user space";
      },
      { live: false },
    );
    await tour(report, names, hints(names, { interactive, wasUp }));
    if (interactive) await stay(names);
    else {
      await client.call("rm", { guest: names.linux, force: true });
      await client.call("rm", { guest: names.hello, force: true });
    }
  } finally {
    await client.close();
    if (!interactive && !wasUp) await hvkit(["down"]);
  }
}

/** A hypervisor that was up may have guests of these names, which are not ours to remove. */
async function freeNames(client, wanted) {
  const taken = new Set((await client.call("ps", {})).map(({ name }) => name));
  return Object.fromEntries(
    wanted.map((name) => {
      let free = name;
      for (let number = 2; taken.has(free); number++) free = `${name}${number}`;
      return [name, free];
    }),
  );
}

/** The guest's console, as it comes, until the landmark and a little after. */
async function showConsole(client, Console, name) {
  let seen = "";
  let reached;
  const landmark = new Promise((resolve) => {
    reached = resolve;
  });
  const guest = await Console.open(client, name, {
    onBytes: (bytes) => {
      // A terminal would answer the shell's question where the cursor is (ESC [ 6 n), and nobody would read it.
      process.stdout.write(Buffer.from(bytes).toString("latin1").replaceAll("\x1b[6n", ""), "latin1");
      seen = (seen + Buffer.from(bytes).toString("latin1")).slice(-4096);
      if (seen.includes(LANDMARK)) reached(true);
    },
  });
  const patience = setTimeout(() => reached(false), PATIENCE_MS);
  const result = await Promise.race([landmark, guest.ended]);
  clearTimeout(patience);
  if (result === true) await new Promise((resolve) => setTimeout(resolve, AFTER_MS));
  guest.close();
  if (result === true) return;
  const why =
    result === false
      ? `did not reach user space within ${PATIENCE_MS / 1000} s`
      : `ended before user space: ${result?.end?.text ?? "left"}`;
  throw new StepFailed(`the guest ${name} ${why}`);
}

/** Commands that work when this is over: without a terminal the guests are gone then, and the hypervisor if it was not up before. */
function hints(names, { interactive, wasUp }) {
  const stays = [
    [`npx hvkit console ${names.linux}`, "the Linux shell; ^] leaves"],
    [`npx hvkit logs -f ${names.hello}`, "what the other guest writes"],
    [`npx hvkit mem ${names.linux} 0x0 64`, "its memory"],
  ];
  const anew = [...(wasUp ? [] : [["npx hvkit up", "boot the hypervisor again"]]), ["npx hvkit run linux", "the Linux shell; ^] leaves"]];
  return [
    ...(interactive ? stays : anew),
    ["npx hvkit run hello16", "a boot sector"],
    ["npx hvkit images", "what else there is"],
    ["npx hvkit doctor", "what this machine could do better"],
    ["npx hvkit down", "end all"],
  ];
}

async function tour(report, names, next) {
  for (const [title, args] of [
    ["engine and hypervisor", ["status"]],
    ["guests: hvkit ps", ["ps"]],
    [`registers: hvkit regs ${names.linux}`, ["regs", names.linux]],
    [`exits by reason: hvkit stats ${names.linux}`, ["stats", names.linux]],
  ]) {
    report.title(`\n${title}`);
    await hvkit(args);
  }
  report.title("\ntimes");
  for (const { name, ms } of report.times) console.log(`  ${name.padEnd(10)} ${(ms / 1000).toFixed(1).padStart(6)} s`);
  report.title("\nwhat to type next");
  const width = Math.max(...next.map(([command]) => command.length));
  for (const [command, what] of next) console.log(`  ${command.padEnd(width)}   ${what}`);
  console.log();
}

async function stay(names) {
  await hvkit(["console", names.linux]).catch(() => {});
  console.log("The hypervisor goes on. `npx hvkit down` ends it.");
}

main().catch(fail);
