// A text that may be of any length, where there is room for some of it. The end stays too: last words are the ones that matter.

export function shorten(text: string, characters: number): string {
  if (text.length <= characters) return text;
  const head = Math.floor(characters / 4);
  return `${text.slice(0, head)} ... ${text.slice(head + 5 - characters)}`;
}
