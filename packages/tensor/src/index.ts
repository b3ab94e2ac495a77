// The public face of @mistudio/tensor.
export * from './gemm.ts'
export { gemmSpeed } from './gemm_speed.ts'
export * from './kernels.ts'
export * from './onnx.ts'
export * from './random.ts'
export * from './with_worker_pool.ts'
export * from './worker_pool.ts'
