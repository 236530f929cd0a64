// How wide text is on a terminal, and how it is cut to fit. Not a terminal: nothing is cut, for a script wants all of it.

/** escape sequences that colour text: they take no room */
const SGR = "\\x1b\\[[\\d;]*m";
/** a colour's sequence, or one character as the eye sees it */
const PIECE = new RegExp(`${SGR}|\\P{M}\\p{M}*|\\p{M}+`, "gsu");
const IS_SGR = new RegExp(`^${SGR}$`);
const LAST_SGR = new RegExp(`(?:${SGR})+$`);
/** Chinese, Japanese, Korean, full-width forms and pictographs take two cells (Unicode, UAX #11: W and F, nearly). */
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u;
const ELLIPSIS = "…";

/** Cells of a line of the terminal; undefined where there is none. */
export function terminalWidth(stream: NodeJS.WriteStream): number | undefined {
  return stream.isTTY === true && stream.columns > 0 ? stream.columns : undefined;
}

/** Cells that the text takes. */
export function textWidth(text: string): number {
  let width = 0;
  for (const [piece] of text.matchAll(PIECE)) width += pieceWidth(piece);
  return width;
}

/** At most `width` cells of it, the last one an ellipsis where something is left out. Colours stay whole. */
export function cut(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  let kept = "";
  let room = width - 1;
  for (const [piece] of text.matchAll(PIECE)) {
    const needed = pieceWidth(piece);
    if (needed === 0) kept += piece;
    else if (room < needed) room = -1;
    else {
      kept += piece;
      room -= needed;
    }
  }
  // What colours came after the cut were kept, and with them the one that ends all.
  const rest = LAST_SGR.exec(kept)?.[0] ?? "";
  return width < 1 ? "" : `${kept.slice(0, kept.length - rest.length)}${ELLIPSIS}${rest}`;
}

export function pad(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - textWidth(text)));
}

function pieceWidth(piece: string): number {
  if (IS_SGR.test(piece)) return 0;
  return WIDE.test(piece) ? 2 : 1;
}
