// A number as messages, JSON and command lines have it. Columns of a fixed width are their tables' own.
export const hex = (value: bigint | number): string => `0x${value.toString(16)}`;
