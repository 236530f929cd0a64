// With a script the line is output only: what core has sent counts as arrived, since nobody says so.
import { expect, test } from "vitest";
import { Channel, FrameType, Link } from "../../../protocol/link.js";
import { Op } from "../../../protocol/messages.js";
import { data, message } from "./codec.js";
import { Rig } from "./rig.js";

function answered(scripted: boolean): { replies: number; again: number } {
  const rig = new Rig({ memoryMiB: 2, hostFrames: 512, scripted });
  rig.acks = false;
  rig.synchronize();
  const wanted = 3 * Link.Window;
  for (let count = 0; count < wanted; count++) {
    rig.give(data(count, 0, Channel.Request, message(count, Op.Ping, [], new Uint8Array())));
    rig.poll();
  }
  // Long enough for a repetition of what was not acknowledged.
  for (let turn = 0; turn < 20; turn++) {
    rig.host.clock += BigInt(Link.RetransmitMs) * 1_000_000n;
    rig.poll();
  }
  const replies = rig.frames.filter(({ type, channel }) => type === FrameType.Data && channel === Channel.Reply);
  return { replies: new Set(replies.map(({ payload }) => payload[0])).size, again: replies.length - wanted };
}

test("all requests of a script are answered, once", () => {
  expect(answered(true)).toEqual({ replies: 3 * Link.Window, again: 0 });
});

test("without one a peer that acknowledges nothing gets a window, again and again", () => {
  const { replies, again } = answered(false);
  expect(replies).toBe(Link.Window);
  // Of those it has sent only the first is sent again.
  expect(again + 3 * Link.Window).toBeGreaterThan(Link.Window);
});
