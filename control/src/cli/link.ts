// What the serial line carried, in words: for `status` and `top`.
import type { Link } from "../api/schemas.js";
import { showSize } from "../api/size.js";

/** In is to the hypervisor, out is from it; lost, damaged and repeated are of both directions. */
export function showLink(link: Link): string {
  const sum = (a: string, b: string): string => String(BigInt(a) + BigInt(b));
  return [
    `${link.framesIn} frames in (${showSize(Number(link.bytesIn))}), ${link.framesOut} out (${showSize(Number(link.bytesOut))})`,
    `${sum(link.framesBad, link.replyFramesBad)} bad`,
    `${sum(link.framesResent, link.requestFramesResent)} sent again`,
    `${link.serialOverruns} bytes lost`,
  ].join(", ");
}
