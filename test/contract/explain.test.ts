// Why an entry fails, on each engine: guests that run pass every check, and one that docs/first-entry-failure.md breaks ends with the rule that
// the document names.
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { showExplanation } from "../../control/src/cli/commands/explain.js";
import { documentOf, withChecks } from "../../control/src/explain/document.js";
import { explain } from "../../control/src/explain/explain.js";
import { fieldKey } from "../../control/src/explain/fields.js";
import { ruleCode, vendorNameOf } from "../../control/src/explain/rules.js";
import { entryFailure } from "../../control/src/explain/texts.js";
import type { EntryFailure } from "../../control/src/hypervisor/hypervisor.js";
import { EndReason } from "../../protocol/messages.js";
import { SvmField, VmxField } from "../../protocol/vcb.js";
import { build } from "../../scripts/lib/build.mjs";
import type { Machine } from "./support/machine.js";
import { useMachine, within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

const tutorial = readFileSync("docs/first-entry-failure.md", "utf8");

/** The lines that the document tells its reader to change. */
const edits = [...tutorial.matchAll(/^--- a\/(\S+)\n-(.+)\n\+(.+)$/gm)].map(([, file = "", from = "", to = ""]) => ({ file, from, to }));

/** The checks that fail on a guest's control block, as Node makes them. */
async function failedOf(machine: Machine, slot: number): Promise<string[]> {
  const vendor = vendorNameOf(machine.hypervisor.hello.vendor);
  const values = await machine.hypervisor.guestExplain(slot);
  const { failed, notMade } = explain({ vendor, fields: new Map(values.entries()) });
  expect(notMade).toEqual([]);
  return failed.map(({ rule, field }) => `${ruleCode(vendor, rule)} ${fieldKey(vendor, field)}`);
}

/** What the command shows of its findings. */
async function shown({ hypervisor }: Machine, slot: number): Promise<string> {
  const vendor = vendorNameOf(hypervisor.hello.vendor);
  const state = { vendor, fields: new Map((await hypervisor.guestExplain(slot)).entries()) };
  return showExplanation("first", withChecks(documentOf(state), state, explain(state)));
}

/** The document's picture of that, from the verdict on; "..." stands for any rest of a line. */
const picture = /```text\n\$ npx hvkit explain first\n.*\n([\s\S]*?)```/.exec(tutorial)?.[1] ?? "";
const documented = new RegExp(
  picture
    .trimEnd()
    .replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
    .replaceAll("\\.\\.\\.", ".*"),
);

onEachEngine("explain", (target) => {
  describe("the product", () => {
    const machine = useMachine(target);

    test.each(["hello16", "hello64", "hash"])(
      "%s runs, and passes every check",
      async (image) => {
        const guest = await machine().run(image);
        await guest.shows(/\n/);
        expect(await failedOf(machine(), guest.slot)).toEqual([]);
      },
      within(target, 60),
    );
  });

  describe("broken on purpose", () => {
    beforeAll(async () => {
      await build({ variant: "broken", only: ["hv"], edits });
    }, 180_000);
    const machine = useMachine(target, { variant: "broken" });

    test(
      "the guest's end has the rule of the document, and explain the same",
      async () => {
        expect(edits).toHaveLength(2);
        expect(picture).toMatch(/^1 check fails\.\n/);
        const failure = new Promise<EntryFailure | undefined>((resolve) =>
          machine().hypervisor.on("guestEnded", (_guest, _reason, _value, _rip, failed) => resolve(failed)),
        );
        const guest = await machine().run("hello16");
        const { reason } = await guest.ends();
        expect(EndReason[reason]).toBe(EndReason[EndReason.EntryFailed]);
        const found = await failure;
        if (!found) throw new Error("the end names no rule");
        const { vendor } = machine().hypervisor.hello;
        const { rule, why } = entryFailure(vendor, found);
        expect(rule).toBe(vendorNameOf(vendor) === "vmx" ? "vmx.Cr4Fixed" : "svm.EferSvme");
        expect(tutorial).toContain(rule);
        expect(why).toMatch(/^[A-Z].* is [0-9A-F]+h\.$/);
        expect(await failedOf(machine(), guest.slot)).toEqual([`${rule} ${fieldKey(vendorNameOf(vendor), found.field)}`]);
        // The state is the guest's, whatever the CPU leaves in a block that it refused: real mode, as a boot sector finds it.
        const values = await machine().hypervisor.guestExplain(guest.slot);
        const [cr0, limit] = vendorNameOf(vendor) === "vmx" ? [VmxField.GuestCr0, VmxField.GuestCsLimit] : [SvmField.Cr0, SvmField.CsLimit];
        expect([(values[cr0] ?? 0n) & 0x8000_0011n, values[limit]]).toEqual([0x10n, 0xffffn]);
        if (vendorNameOf(vendor) === "vmx") expect(await shown(machine(), guest.slot)).toMatch(documented);
      },
      within(target, 60),
    );
  });
});
