// What a guest wanted of memory that is not there.

export type Access = "read" | "write" | "fetch";
