// Guests that are removed when they have ended, as `run --rm` asks for.
import { afterEach, beforeEach, expect, it } from "vitest";
import { EndReason } from "../../../protocol/messages.js";
import { Harness, until } from "./harness.js";

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.start();
});
afterEach(() => harness.stop());

const names = (): string[] => harness.daemon.guests.all().map(({ name }) => name);

it("goes when it ends, if who ran it has left; others stay", async () => {
  const [maker, other] = [await harness.client(), await harness.client()];
  await maker.call("run", { image: "sector", name: "kept" });
  await maker.call("run", { image: "sector", name: "gone", autoRemove: true });
  await maker.call("run", { image: "sector", name: "killed", autoRemove: true });
  await maker.close();
  expect(names()).toEqual(["kept", "gone", "killed"]);
  harness.hypervisor.end(1, EndReason.TripleFault);
  harness.hypervisor.end(2, EndReason.TripleFault);
  await until(() => !names().includes("gone"));
  expect(await harness.call(other, "kill", { guest: "killed" })).toMatchObject({ state: "exited" });
  await until(() => !names().includes("killed"));
  expect(names()).toEqual(["kept"]);
});

it("stays as long as who ran it may ask how it ended", async () => {
  const [maker, other] = [await harness.client(), await harness.client()];
  await maker.call("run", { image: "sector", name: "web", autoRemove: true });
  harness.hypervisor.write(1, "last words");
  harness.hypervisor.end(1, EndReason.TripleFault);
  await until(() => harness.daemon.guests.find("web").state === "exited");
  await other.close();
  expect(await harness.call(maker, "inspect", { guest: "web" })).toMatchObject({ state: "exited", end: { code: "triple-fault" } });
  await maker.close();
  await until(() => names().length === 0);
});

it("stays when it resets itself, or went down with the hypervisor", async () => {
  const maker = await harness.client();
  await maker.call("run", { image: "sector", name: "resets", autoRemove: true });
  await maker.close();
  harness.hypervisor.end(1, EndReason.Reset);
  await until(() => harness.daemon.guests.find("resets").restarts === 1);
  await until(() => harness.daemon.guests.find("resets").state === "running");
  harness.hypervisor.emit("lost", "gone");
  await until(() => harness.daemon.guests.find("resets").state === "lost");
  expect(names()).toEqual(["resets"]);
});
