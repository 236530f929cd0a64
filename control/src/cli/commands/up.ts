// hvkit up: boots the hypervisor, in a daemon that stays.
import { Command } from "@commander-js/extra-typings";
import type { Status } from "../../api/schemas.js";
import { bootWish } from "../../client/bootwish.js";
import { HvkitError } from "../../errors.js";
import { type ListenAddress, parseListen } from "../../transport/address.js";
import { isLoopback } from "../../transport/guard.js";
import { attachOption, attachRequest, baudOption, tokenFileOption } from "../attachrequest.js";
import { accelOption, cpusOption, engineOption, memoryOption } from "../bootoptions.js";
import { note, ProgressLine, print, printJson, style } from "../output.js";

export const up = () =>
  new Command("up")
    .description("boot the hypervisor in the best engine of this machine")
    .addOption(engineOption())
    .addOption(accelOption())
    .addOption(memoryOption())
    .addOption(cpusOption())
    .addOption(attachOption())
    .addOption(baudOption("--attach's tty"))
    .addOption(tokenFileOption())
    .option("--listen <address>", "listen on this TCP port of loopback, too, for who has the token: 127.0.0.1:PORT")
    .option("--json", "print the status as JSON")
    .addHelpText(
      "after",
      `
Examples:
  hvkit up
  hvkit up --engine bochs          Intel VMX without hardware for it
  hvkit up --listen 127.0.0.1:4590    on a TCP port, too, for 'hvkit --url ws://127.0.0.1:4590 ps'
  hvkit up --memory 2G --cpus 4 --accel tcg
  hvkit up --attach /dev/ttyUSB0   a PC that hv.img was booted on, at the other end of the cable
  hvkit up --attach ws://127.0.0.1:4590 --token-file FILE    the same, through 'hvkit bridge'

'hvkit doctor' says which engine "auto" takes here, and why.`,
    )
    .action(async ({ json, listen: address, attach: to, baud, tokenFile, ...options }) => {
      if (process.env.HVKIT_URL) {
        throw new HvkitError("E_USAGE", "`up` starts a daemon here: it takes no --url", { hint: "Leave it out, and unset HVKIT_URL." });
      }
      const attach = attachRequest({ attach: to, baud, tokenFile });
      const wish = { ...bootWish(options), ...(attach ? { attach } : {}) };
      const listen = address === undefined ? {} : { listen: listenAddress(address) };
      const { bringUp } = await import("../../client/bringup.js");
      const progress = new ProgressLine();
      const started = Date.now();
      const onLine = (line: string): void => {
        if (line.startsWith("engine: ")) note(line.slice(8));
        else progress.show(style(line, "dim", process.stderr));
      };
      const { status, booted } = await bringUp(wish, { ...listen, onLine }).finally(() => progress.clear());
      if (json) printJson(status);
      else if (!booted) print(`up already: ${describe(status)}`);
      else {
        print(`up: ${describe(status)}, ready in ${((Date.now() - started) / 1000).toFixed(1)} s`);
        if (status.tcp) note(`listens at ${status.tcp.url}, token in ${status.tcp.tokenFile}`);
      }
    });

function listenAddress(text: string): ListenAddress {
  const address = parseListen(text, "--listen");
  if (isLoopback(address.host)) return address;
  throw new HvkitError("E_USAGE", `the daemon does not listen on ${address.host}: only on loopback`, {
    hint: "Listen on 127.0.0.1:PORT, and reach it from elsewhere through `ssh -L PORT:127.0.0.1:PORT`.",
  });
}

function describe({ hypervisor, engine, state }: Status): string {
  return `${hypervisor?.vendor ?? state} on ${engine?.name ?? "no engine"} (${engine?.accel ?? "-"})`;
}
