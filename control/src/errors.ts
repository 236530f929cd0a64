// One form for every error that a person sees: a stable code, what was wrong, what was expected, what to do.

export class HvkitError extends Error {
  /** stable, E_... ; listed in docs/errors.md */
  readonly code: string;
  /** what to do about it, one sentence */
  readonly hint: string | undefined;
  /** for --json: values behind the message */
  readonly data: Record<string, unknown> | undefined;

  constructor(code: string, message: string, options: { hint?: string; data?: Record<string, unknown>; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "HvkitError";
    this.code = code;
    this.hint = options.hint;
    this.data = options.data;
  }
}
