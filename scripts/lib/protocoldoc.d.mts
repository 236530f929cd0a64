export function protocolDocument(): Promise<string>;
