// A float64 oracle in plain TypeScript for every kernel, under the kernel's name: what the SIMD code is tested
// against, and the shortest statement of what it computes.
export * from './activation.ts'
export * from './decode.ts'
export * from './dense.ts'
export * from './encode.ts'
export * from './gradients.ts'
export * from './hits.ts'
export * from './quantise.ts'
export * from './rows.ts'
export * from './screen.ts'
export * from './statistics.ts'
export * from './topk.ts'
