// A module that panics ends its guest, with the reason and the trace; a guest beside it goes on.
import { join } from "node:path";
import { test } from "hvkit/vitest";
import { describe, expect, inject } from "vitest";

const { folder = "", missing } = inject("modules");

describe.skipIf(missing)("faulty", () => {
  test("panics its guest, and no other", async ({ guests }) => {
    const [guest, other] = await Promise.all([
      guests.run("linux", { add: [{ file: join(folder, "faulty.ko"), path: "/faulty.ko" }] }),
      guests.run("linux"),
    ]);
    const counting = other.exec(["sh", "-c", "read line; echo $line"], { input: "still here\n" });

    // The command that loads it does not come back: the guest is gone, and the error says why.
    await expect(guest.exec(["insmod", "/faulty.ko"])).rejects.toMatchObject({
      code: "E_EXEC_GUEST_ENDED",
      message: expect.stringContaining("BUG: kernel NULL pointer dereference"),
    });
    const { state, panic } = await guest.ended();
    expect(state).toBe("exited");
    expect(panic?.cause).toContain("kernel NULL pointer dereference, address: 0000000000000000");
    expect(panic?.trace.join("\n")).toMatch(/^faulty_store.* \[faulty\]\nfaulty_init.* \[faulty\]\ndo_one_initcall/);

    expect((await counting).stdout.toString()).toBe("still here\n");
    expect((await other.inspect()).state).toBe("running");
  });
});
