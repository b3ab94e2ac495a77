// Runs of our graphs leave their results where requested and copy nothing (`stopName` in onnx.ts).
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { expect, test } from 'vitest'
import { gemmGraph } from './gemm.ts'
import { stopName } from './onnx.ts'

test('a run into memory of ours makes no buffer', async () => {
  const session = await InferenceSession.create(gemmGraph(), { logSeverityLevel: 4 })
  expect(session.outputNames).toEqual([stopName, 'y'])
  const [rows, latents] = [256, 1024]
  const a = new Tensor('float32', new Float32Array(rows).fill(2), [rows, 1])
  const b = new Tensor(
    'float32',
    Float32Array.from({ length: latents }, (_, i) => i),
    [latents, 1],
  )
  const y = new Float32Array(rows * latents)
  const fetches = { y: new Tensor('float32', y, [rows, latents]) }
  const before = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 20; i++)
    await expect(session.run({ a, b }, { [stopName]: null, ...fetches })).rejects.toThrow(/^Non tensor type/)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(y.byteLength)
  expect(y[latents + 3]).toBe(6)
  // Without it the result is a copy. If that ever changes, the stop can be removed.
  const { y: back } = await session.run({ a, b }, fetches)
  expect((back.data as Float32Array).buffer).not.toBe(y.buffer)
  await session.release()
})
