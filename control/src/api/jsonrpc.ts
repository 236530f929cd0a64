// JSON-RPC 2.0 (jsonrpc.org/specification): the envelopes, and how an HvkitError travels in an error object's `data`.
import { HvkitError } from "../errors.js";

export type RequestId = string | number | null;

export interface RpcRequest {
  jsonrpc: "2.0";
  method: string;
  params?: unknown;
  /** none: a notification */
  id?: RequestId;
}

export interface RpcError {
  code: number;
  message: string;
  data?: { code: string; hint?: string; values?: Record<string, unknown> };
}

export type RpcResponse = { jsonrpc: "2.0"; id: RequestId } & ({ result: unknown } | { error: RpcError });

/** requests of one client that are under way at once: the daemon refuses more, its clients hold them back */
export const MAX_REQUESTS = 64;

export const RPC_PARSE_ERROR = -32700;
export const RPC_INVALID_REQUEST = -32600;
export const RPC_METHOD_NOT_FOUND = -32601;
export const RPC_INVALID_PARAMS = -32602;
export const RPC_INTERNAL_ERROR = -32603;
/** every HvkitError: its own stable code is in `data.code` */
export const RPC_HVKIT_ERROR = -32000;

const RPC_CODES: Record<string, number> = {
  E_RPC_PARSE: RPC_PARSE_ERROR,
  E_RPC_REQUEST: RPC_INVALID_REQUEST,
  E_RPC_METHOD: RPC_METHOD_NOT_FOUND,
  E_RPC_PARAMS: RPC_INVALID_PARAMS,
  E_INTERNAL: RPC_INTERNAL_ERROR,
};

/** characters of an id that is a string: it comes back with the answer */
const MAX_ID = 128;

export function isRequest(value: unknown): value is RpcRequest {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const { jsonrpc, method, params, id } = value as Record<string, unknown>;
  const idValid = id === undefined || id === null || (typeof id === "string" && id.length <= MAX_ID) || typeof id === "number";
  return (
    jsonrpc === "2.0" && typeof method === "string" && idValid && (params === undefined || (typeof params === "object" && params !== null))
  );
}

export function toRpcError(error: unknown): RpcError {
  if (!(error instanceof HvkitError)) {
    const message = error instanceof Error ? error.message : String(error);
    return {
      code: RPC_INTERNAL_ERROR,
      message,
      data: { code: "E_INTERNAL", hint: "This is a defect of hvkit; the daemon's log has the details." },
    };
  }
  const data: RpcError["data"] = { code: error.code };
  if (error.hint !== undefined) data.hint = error.hint;
  if (error.data !== undefined) data.values = error.data;
  return { code: RPC_CODES[error.code] ?? RPC_HVKIT_ERROR, message: error.message, data };
}

export function fromRpcError(error: RpcError): HvkitError {
  const options: { hint?: string; data?: Record<string, unknown> } = {};
  if (error.data?.hint !== undefined) options.hint = error.data.hint;
  if (error.data?.values !== undefined) options.data = error.data.values;
  return new HvkitError(error.data?.code ?? "E_RPC", error.message, options);
}
