// What a guest's CPU can be said to be (CpuModel of hypervisor/saved.ts): for the command line, and for the methods' schemas.
export const cpuModels = ["portable", "host"] as const;
