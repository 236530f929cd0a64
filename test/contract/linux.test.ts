// The main job: Debian's unmodified kernel boots as a guest, and its user space proves that it ran by what it could not know before.
import { createHash, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { EndReason } from "../../protocol/messages.js";
import { useMachine, within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

onEachEngine("linux", (target) => {
  const machine = useMachine(target);

  test(
    "boots to user space, prints a nonce and digests an added file, has a shell, and powers off",
    async () => {
      const nonce = randomBytes(8).toString("hex");
      const data = randomBytes(70_001);
      const guest = await machine().run("linux", { append: `nonce=${nonce}`, added: [{ path: "add/file.bin", data }] });
      await guest.shows("hvkit: user space reached", 60);
      const release = await guest.shows(/hvkit: kernel (\S+)\r?\n/, 20);
      expect(release[1]).toMatch(/^6\.1\.0-\d+-cloud-amd64/);
      await guest.shows(`hvkit: nonce ${nonce}`, 20);
      const digest = createHash("sha256").update(data).digest("hex");
      await guest.shows(`hvkit: sha256 ${digest}`, 30);

      const stat = await machine().hypervisor.guestStat(guest.slot);
      expect(stat.nestedFaults).toBe(0n);
      expect(stat.overheadBytes).toBeLessThanOrEqual(256 * 1024);
      expect(stat.exits).toBeGreaterThan(100n);

      await guest.shows("linux:/root# ", 30);
      await guest.write("echo $((6 * 7))-$(uname -m)\n");
      await guest.shows("42-x86_64", 20);
      await guest.write("date +%Y; cat /proc/cmdline\n");
      await guest.shows(new RegExp(`(?:${new Date().getUTCFullYear()}|${new Date().getUTCFullYear() + 1})\\r?\\n`), 20);
      await guest.write("poweroff\n");
      const end = await guest.ends(30);
      expect(end.reason).toBe(EndReason.PowerOff);
    },
    within(target, 150),
  );
});
