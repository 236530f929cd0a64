// The engines of this machine that the bench runs on.

/** {engine, accel, vendor}; the control plane is built by then. */
export async function benchEngines() {
  const { chooseEngine } = await import("../../../build/js/control/src/doctor/choice.js");
  const { collectFacts } = await import("../../../build/js/control/src/doctor/facts.js");
  const facts = await collectFacts();
  const wishes = [
    { engine: "qemu", accel: "tcg" },
    { engine: "bochs", accel: "auto" },
    { engine: "qemu", accel: "kvm" },
  ];
  return wishes.flatMap((wish) => {
    try {
      const { engine, accel, vendor } = chooseEngine(facts, wish);
      return [{ engine, accel, vendor }];
    } catch {
      return [];
    }
  });
}
