// What a guest's clocks make of a pause: the words of the command line and of JSON-RPC for ResumeClock (protocol/messages.ts).
// Apart from schemas.ts, since the command line starts without them.

export const resumeClocks = ["frozen", "catch-up"] as const;
