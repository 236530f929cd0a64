// A function whose frame is larger than a guard page (4 KiB), and which calls itself: without probes a frame could step over the page.
// An expression 516 deep, whose values all wait on the stack for the call in its middle. + and ^ in turn keep the compiler from
// adding them up before it. Written by a program; there is nothing to read.
// biome-ignore format: one expression
export function hugeFrame(p: usize, depth: u32): u64 {
  return (
    load<u64>(p, 0) ^ (load<u64>(p, 8) + (load<u64>(p, 16) ^ (load<u64>(p, 24) + (load<u64>(p, 32) ^ (load<u64>(p, 40) + (
    load<u64>(p, 48) ^ (load<u64>(p, 56) + (load<u64>(p, 64) ^ (load<u64>(p, 72) + (load<u64>(p, 80) ^ (load<u64>(p, 88) + (
    load<u64>(p, 96) ^ (load<u64>(p, 104) + (load<u64>(p, 112) ^ (load<u64>(p, 120) + (load<u64>(p, 128) ^ (load<u64>(p, 136) + (
    load<u64>(p, 144) ^ (load<u64>(p, 152) + (load<u64>(p, 160) ^ (load<u64>(p, 168) + (load<u64>(p, 176) ^ (load<u64>(p, 184) + (
    load<u64>(p, 192) ^ (load<u64>(p, 200) + (load<u64>(p, 208) ^ (load<u64>(p, 216) + (load<u64>(p, 224) ^ (load<u64>(p, 232) + (
    load<u64>(p, 240) ^ (load<u64>(p, 248) + (load<u64>(p, 256) ^ (load<u64>(p, 264) + (load<u64>(p, 272) ^ (load<u64>(p, 280) + (
    load<u64>(p, 288) ^ (load<u64>(p, 296) + (load<u64>(p, 304) ^ (load<u64>(p, 312) + (load<u64>(p, 320) ^ (load<u64>(p, 328) + (
    load<u64>(p, 336) ^ (load<u64>(p, 344) + (load<u64>(p, 352) ^ (load<u64>(p, 360) + (load<u64>(p, 368) ^ (load<u64>(p, 376) + (
    load<u64>(p, 384) ^ (load<u64>(p, 392) + (load<u64>(p, 400) ^ (load<u64>(p, 408) + (load<u64>(p, 416) ^ (load<u64>(p, 424) + (
    load<u64>(p, 432) ^ (load<u64>(p, 440) + (load<u64>(p, 448) ^ (load<u64>(p, 456) + (load<u64>(p, 464) ^ (load<u64>(p, 472) + (
    load<u64>(p, 480) ^ (load<u64>(p, 488) + (load<u64>(p, 496) ^ (load<u64>(p, 504) + (load<u64>(p, 0) ^ (load<u64>(p, 8) + (
    load<u64>(p, 16) ^ (load<u64>(p, 24) + (load<u64>(p, 32) ^ (load<u64>(p, 40) + (load<u64>(p, 48) ^ (load<u64>(p, 56) + (
    load<u64>(p, 64) ^ (load<u64>(p, 72) + (load<u64>(p, 80) ^ (load<u64>(p, 88) + (load<u64>(p, 96) ^ (load<u64>(p, 104) + (
    load<u64>(p, 112) ^ (load<u64>(p, 120) + (load<u64>(p, 128) ^ (load<u64>(p, 136) + (load<u64>(p, 144) ^ (load<u64>(p, 152) + (
    load<u64>(p, 160) ^ (load<u64>(p, 168) + (load<u64>(p, 176) ^ (load<u64>(p, 184) + (load<u64>(p, 192) ^ (load<u64>(p, 200) + (
    load<u64>(p, 208) ^ (load<u64>(p, 216) + (load<u64>(p, 224) ^ (load<u64>(p, 232) + (load<u64>(p, 240) ^ (load<u64>(p, 248) + (
    load<u64>(p, 256) ^ (load<u64>(p, 264) + (load<u64>(p, 272) ^ (load<u64>(p, 280) + (load<u64>(p, 288) ^ (load<u64>(p, 296) + (
    load<u64>(p, 304) ^ (load<u64>(p, 312) + (load<u64>(p, 320) ^ (load<u64>(p, 328) + (load<u64>(p, 336) ^ (load<u64>(p, 344) + (
    load<u64>(p, 352) ^ (load<u64>(p, 360) + (load<u64>(p, 368) ^ (load<u64>(p, 376) + (load<u64>(p, 384) ^ (load<u64>(p, 392) + (
    load<u64>(p, 400) ^ (load<u64>(p, 408) + (load<u64>(p, 416) ^ (load<u64>(p, 424) + (load<u64>(p, 432) ^ (load<u64>(p, 440) + (
    load<u64>(p, 448) ^ (load<u64>(p, 456) + (load<u64>(p, 464) ^ (load<u64>(p, 472) + (load<u64>(p, 480) ^ (load<u64>(p, 488) + (
    load<u64>(p, 496) ^ (load<u64>(p, 504) + (load<u64>(p, 0) ^ (load<u64>(p, 8) + (load<u64>(p, 16) ^ (load<u64>(p, 24) + (
    load<u64>(p, 32) ^ (load<u64>(p, 40) + (load<u64>(p, 48) ^ (load<u64>(p, 56) + (load<u64>(p, 64) ^ (load<u64>(p, 72) + (
    load<u64>(p, 80) ^ (load<u64>(p, 88) + (load<u64>(p, 96) ^ (load<u64>(p, 104) + (load<u64>(p, 112) ^ (load<u64>(p, 120) + (
    load<u64>(p, 128) ^ (load<u64>(p, 136) + (load<u64>(p, 144) ^ (load<u64>(p, 152) + (load<u64>(p, 160) ^ (load<u64>(p, 168) + (
    load<u64>(p, 176) ^ (load<u64>(p, 184) + (load<u64>(p, 192) ^ (load<u64>(p, 200) + (load<u64>(p, 208) ^ (load<u64>(p, 216) + (
    load<u64>(p, 224) ^ (load<u64>(p, 232) + (load<u64>(p, 240) ^ (load<u64>(p, 248) + (load<u64>(p, 256) ^ (load<u64>(p, 264) + (
    load<u64>(p, 272) ^ (load<u64>(p, 280) + (load<u64>(p, 288) ^ (load<u64>(p, 296) + (load<u64>(p, 304) ^ (load<u64>(p, 312) + (
    load<u64>(p, 320) ^ (load<u64>(p, 328) + (load<u64>(p, 336) ^ (load<u64>(p, 344) + (load<u64>(p, 352) ^ (load<u64>(p, 360) + (
    load<u64>(p, 368) ^ (load<u64>(p, 376) + (load<u64>(p, 384) ^ (load<u64>(p, 392) + (load<u64>(p, 400) ^ (load<u64>(p, 408) + (
    load<u64>(p, 416) ^ (load<u64>(p, 424) + (load<u64>(p, 432) ^ (load<u64>(p, 440) + (load<u64>(p, 448) ^ (load<u64>(p, 456) + (
    load<u64>(p, 464) ^ (load<u64>(p, 472) + (load<u64>(p, 480) ^ (load<u64>(p, 488) + (load<u64>(p, 496) ^ (load<u64>(p, 504) + (
    load<u64>(p, 0) ^ (load<u64>(p, 8) + (load<u64>(p, 16) ^ (load<u64>(p, 24) + (load<u64>(p, 32) ^ (load<u64>(p, 40) + (
    load<u64>(p, 48) ^ (load<u64>(p, 56) + (load<u64>(p, 64) ^ (load<u64>(p, 72) + (load<u64>(p, 80) ^ (load<u64>(p, 88) + (
    load<u64>(p, 96) ^ (load<u64>(p, 104) + (load<u64>(p, 112) ^ (load<u64>(p, 120) + (load<u64>(p, 128) ^ (load<u64>(p, 136) + (
    load<u64>(p, 144) ^ (load<u64>(p, 152) + (load<u64>(p, 160) ^ (load<u64>(p, 168) + (load<u64>(p, 176) ^ (load<u64>(p, 184) + (
    load<u64>(p, 192) ^ (load<u64>(p, 200) + (load<u64>(p, 208) ^ (load<u64>(p, 216) + (load<u64>(p, 224) ^ (load<u64>(p, 232) + (
    load<u64>(p, 240) ^ (load<u64>(p, 248) + (load<u64>(p, 256) ^ (load<u64>(p, 264) + (load<u64>(p, 272) ^ (load<u64>(p, 280) + (
    load<u64>(p, 288) ^ (load<u64>(p, 296) + (load<u64>(p, 304) ^ (load<u64>(p, 312) + (load<u64>(p, 320) ^ (load<u64>(p, 328) + (
    load<u64>(p, 336) ^ (load<u64>(p, 344) + (load<u64>(p, 352) ^ (load<u64>(p, 360) + (load<u64>(p, 368) ^ (load<u64>(p, 376) + (
    load<u64>(p, 384) ^ (load<u64>(p, 392) + (load<u64>(p, 400) ^ (load<u64>(p, 408) + (load<u64>(p, 416) ^ (load<u64>(p, 424) + (
    load<u64>(p, 432) ^ (load<u64>(p, 440) + (load<u64>(p, 448) ^ (load<u64>(p, 456) + (load<u64>(p, 464) ^ (load<u64>(p, 472) + (
    load<u64>(p, 480) ^ (load<u64>(p, 488) + (load<u64>(p, 496) ^ (load<u64>(p, 504) + (load<u64>(p, 0) ^ (load<u64>(p, 8) + (
    load<u64>(p, 16) ^ (load<u64>(p, 24) + (load<u64>(p, 32) ^ (load<u64>(p, 40) + (load<u64>(p, 48) ^ (load<u64>(p, 56) + (
    load<u64>(p, 64) ^ (load<u64>(p, 72) + (load<u64>(p, 80) ^ (load<u64>(p, 88) + (load<u64>(p, 96) ^ (load<u64>(p, 104) + (
    load<u64>(p, 112) ^ (load<u64>(p, 120) + (load<u64>(p, 128) ^ (load<u64>(p, 136) + (load<u64>(p, 144) ^ (load<u64>(p, 152) + (
    load<u64>(p, 160) ^ (load<u64>(p, 168) + (load<u64>(p, 176) ^ (load<u64>(p, 184) + (load<u64>(p, 192) ^ (load<u64>(p, 200) + (
    load<u64>(p, 208) ^ (load<u64>(p, 216) + (load<u64>(p, 224) ^ (load<u64>(p, 232) + (load<u64>(p, 240) ^ (load<u64>(p, 248) + (
    load<u64>(p, 256) ^ (load<u64>(p, 264) + (load<u64>(p, 272) ^ (load<u64>(p, 280) + (load<u64>(p, 288) ^ (load<u64>(p, 296) + (
    load<u64>(p, 304) ^ (load<u64>(p, 312) + (load<u64>(p, 320) ^ (load<u64>(p, 328) + (load<u64>(p, 336) ^ (load<u64>(p, 344) + (
    load<u64>(p, 352) ^ (load<u64>(p, 360) + (load<u64>(p, 368) ^ (load<u64>(p, 376) + (load<u64>(p, 384) ^ (load<u64>(p, 392) + (
    load<u64>(p, 400) ^ (load<u64>(p, 408) + (load<u64>(p, 416) ^ (load<u64>(p, 424) + (load<u64>(p, 432) ^ (load<u64>(p, 440) + (
    load<u64>(p, 448) ^ (load<u64>(p, 456) + (load<u64>(p, 464) ^ (load<u64>(p, 472) + (load<u64>(p, 480) ^ (load<u64>(p, 488) + (
    load<u64>(p, 496) ^ (load<u64>(p, 504) + (load<u64>(p, 0) ^ (load<u64>(p, 8) + (load<u64>(p, 16) ^ (load<u64>(p, 24) + (
    load<u64>(p, 32) ^ (load<u64>(p, 40) + (load<u64>(p, 48) ^ (load<u64>(p, 56) + (load<u64>(p, 64) ^ (load<u64>(p, 72) + (
    load<u64>(p, 80) ^ (load<u64>(p, 88) + (load<u64>(p, 96) ^ (load<u64>(p, 104) + (load<u64>(p, 112) ^ (load<u64>(p, 120) + (
    load<u64>(p, 128) ^ (load<u64>(p, 136) + (load<u64>(p, 144) ^ (load<u64>(p, 152) + (load<u64>(p, 160) ^ (load<u64>(p, 168) + (
    load<u64>(p, 176) ^ (load<u64>(p, 184) + (load<u64>(p, 192) ^ (load<u64>(p, 200) + (load<u64>(p, 208) ^ (load<u64>(p, 216) + (
    load<u64>(p, 224) ^ (load<u64>(p, 232) + (load<u64>(p, 240) ^ (load<u64>(p, 248) + (load<u64>(p, 256) ^ (load<u64>(p, 264) + (
    load<u64>(p, 272) ^ (load<u64>(p, 280) + (load<u64>(p, 288) ^ (load<u64>(p, 296) + (load<u64>(p, 304) ^ (load<u64>(p, 312) + (
    load<u64>(p, 320) ^ (load<u64>(p, 328) + (load<u64>(p, 336) ^ (load<u64>(p, 344) + (load<u64>(p, 352) ^ (load<u64>(p, 360) + (
    load<u64>(p, 368) ^ (load<u64>(p, 376) + (load<u64>(p, 384) ^ (load<u64>(p, 392) + (load<u64>(p, 400) ^ (load<u64>(p, 408) + (
    load<u64>(p, 416) ^ (load<u64>(p, 424) + (load<u64>(p, 432) ^ (load<u64>(p, 440) + (load<u64>(p, 448) ^ (load<u64>(p, 456) + (
    load<u64>(p, 464) ^ (load<u64>(p, 472) + (load<u64>(p, 480) ^ (load<u64>(p, 488) + (load<u64>(p, 496) ^ (load<u64>(p, 504) + (
    load<u64>(p, 0) ^ (load<u64>(p, 8) + (load<u64>(p, 16) ^ (load<u64>(p, 24) + (load<u64>(p, 32) ^ (load<u64>(p, 40) + (
    load<u64>(p, 48) ^ (load<u64>(p, 56) + (load<u64>(p, 64) ^ (load<u64>(p, 72) + (load<u64>(p, 80) ^ (load<u64>(p, 88) + (
    load<u64>(p, 96) ^ (load<u64>(p, 104) + (load<u64>(p, 112) ^ (load<u64>(p, 120) + (load<u64>(p, 128) ^ (load<u64>(p, 136) + (
    load<u64>(p, 144) ^ (load<u64>(p, 152) + (load<u64>(p, 160) ^ (load<u64>(p, 168) + (load<u64>(p, 176) ^ (load<u64>(p, 184) + (
    load<u64>(p, 192) ^ (load<u64>(p, 200) + (load<u64>(p, 208) ^ (load<u64>(p, 216) + (load<u64>(p, 224) ^ (load<u64>(p, 232) + (
    load<u64>(p, 240) ^ (load<u64>(p, 248) + (load<u64>(p, 256) ^ (load<u64>(p, 264) + (load<u64>(p, 272) ^ (load<u64>(p, 280) + (
    load<u64>(p, 288) ^ (load<u64>(p, 296) + (load<u64>(p, 304) ^ (load<u64>(p, 312) + (load<u64>(p, 320) ^ (load<u64>(p, 328) + (
    load<u64>(p, 336) ^ (load<u64>(p, 344) + (load<u64>(p, 352) ^ (load<u64>(p, 360) + (load<u64>(p, 368) ^ (load<u64>(p, 376) + (
    load<u64>(p, 384) ^ (load<u64>(p, 392) + (load<u64>(p, 400) ^ (load<u64>(p, 408) + (load<u64>(p, 416) ^ (load<u64>(p, 424) + (
    load<u64>(p, 432) ^ (load<u64>(p, 440) + (load<u64>(p, 448) ^ (load<u64>(p, 456) + (load<u64>(p, 464) ^ (load<u64>(p, 472) + (
    load<u64>(p, 480) ^ (load<u64>(p, 488) + (load<u64>(p, 496) ^ (load<u64>(p, 504) + (load<u64>(p, 0) ^ (load<u64>(p, 8) + (
    load<u64>(p, 16) ^ (load<u64>(p, 24) + (load<u64>(p, 32) ^ (load<u64>(p, 40) + (load<u64>(p, 48) ^ (load<u64>(p, 56) + (
    load<u64>(p, 64) ^ (load<u64>(p, 72) + (load<u64>(p, 80) ^ (load<u64>(p, 88) + (load<u64>(p, 96) ^ (load<u64>(p, 104) + (
    load<u64>(p, 112) ^ (load<u64>(p, 120) + (load<u64>(p, 128) ^ (load<u64>(p, 136) + (load<u64>(p, 144) ^ (load<u64>(p, 152) + (
    load<u64>(p, 160) ^ (load<u64>(p, 168) + (load<u64>(p, 176) ^ (load<u64>(p, 184) + (load<u64>(p, 192) ^ (load<u64>(p, 200) + (
    load<u64>(p, 208) ^ (load<u64>(p, 216) + (load<u64>(p, 224) ^ (load<u64>(p, 232) + (load<u64>(p, 240) ^ (load<u64>(p, 248) + (
    load<u64>(p, 256) ^ (load<u64>(p, 264) + (load<u64>(p, 272) ^ (load<u64>(p, 280) + (load<u64>(p, 288) ^ (load<u64>(p, 296) + (
    load<u64>(p, 304) ^ (load<u64>(p, 312) + (load<u64>(p, 320) ^ (load<u64>(p, 328) + (load<u64>(p, 336) ^ (load<u64>(p, 344) + (
    load<u64>(p, 352) ^ (load<u64>(p, 360) + (load<u64>(p, 368) ^ (load<u64>(p, 376) + (load<u64>(p, 384) ^ (load<u64>(p, 392) + (
    load<u64>(p, 400) ^ (load<u64>(p, 408) + (load<u64>(p, 416) ^ (load<u64>(p, 424) + (load<u64>(p, 432) ^ (load<u64>(p, 440) + (
    load<u64>(p, 448) ^ (load<u64>(p, 456) + (load<u64>(p, 464) ^ (load<u64>(p, 472) + (load<u64>(p, 480) ^ (load<u64>(p, 488) + (
    load<u64>(p, 496) ^ (load<u64>(p, 504) + (load<u64>(p, 0) ^ (load<u64>(p, 8) + (load<u64>(p, 16) ^ (load<u64>(p, 24) + (
    hugeFrame(p, depth + 1)
    ))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))
    ))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))
    ))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))
    ))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))
  );
}
