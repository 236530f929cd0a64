import { connect, HvkitError } from "hvkit";

await using hvkit = await connect();
const signal = AbortSignal.timeout(60_000); // for whatever waits
const guest = await hvkit.run("hello64", { append: "ticks=3", signal });
await guest.waitFor(/tick \d/, { signal });
const { state, end } = await guest.ended({ signal });
console.log(state, end?.text);

try {
  await guest.pause();
} catch (error) {
  if (!(error instanceof HvkitError)) throw error;
  console.log(error.code, error.hint);
}
await guest.rm();
