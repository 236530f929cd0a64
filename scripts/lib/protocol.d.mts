export function sources(): string[];
/** name -> members, in the order of the source */
export function enumsOf(path: string): Promise<Map<string, [string, number | string][]>>;
export function writeProtocol(output: string, paths?: string[]): Promise<void>;
