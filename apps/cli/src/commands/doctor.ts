// `mistudio doctor`: does this machine have what miStudio needs, and how fast is it? Each line is a real trial.
import { readFileSync, statfsSync } from 'node:fs'
import { availableParallelism, cpus, freemem, totalmem } from 'node:os'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { defineCommand } from '../frame/command.ts'
import { dataFolder, writableFolder } from '../frame/data_folder.ts'
import { bytes, figure, pairs } from '../frame/output.ts'
import { shared } from './shared/options.ts'

export type Check = {
  name: string
  ok: boolean
  /** What was found, for a person. */
  found: string
  /** Figures for programs. */
  values?: Record<string, number | string | string[] | null>
}

/** The processor features that the engine's speed depends on, as Linux names them. */
const watchedFlags = [
  'sse4_2',
  'avx2',
  'fma',
  'avx512f',
  'avx512_vnni',
  'avx_vnni',
  'amx_bf16',
  'asimd',
  'asimddp',
]

export const doctor = defineCommand({
  name: 'doctor',
  summary: 'try everything the engine needs on this machine and measure its speed',
  options: {
    'data-dir': {
      kind: 'path',
      value: 'DIR',
      help: 'data folder to try (default: MISTUDIO_DATA_DIR, else ./data)',
    },
    threads: shared.threads,
  },
  spec: values => ({
    dataDir: dataFolder({ option: values['data-dir'], env: process.env }),
    threads: values.threads,
  }),
  async job({ dataDir, threads }): Promise<{ ok: boolean; checks: Check[] }> {
    const checks: Check[] = [node(), processor(), memory()]
    let pool: WorkerPool | undefined
    try {
      checks.push(
        await attempt('worker pool', async () => {
          pool = await openWorkerPool({ count: threads })
          return { found: `${pool.count} threads`, values: { threads: pool.count } }
        }),
        await attempt('SIMD kernels', () => kernels(pool)),
        await attempt('ONNX Runtime', () => onnxRuntime(pool)),
      )
    } finally {
      await pool?.close()
    }
    checks.push(await attempt('DuckDB', duckdb), await attempt('data folder', async () => folder(dataDir)))
    return { ok: checks.every(({ ok }) => ok), checks }
  },
  present: ({ ok, checks }) =>
    [
      pairs(checks.map(check => [`${check.ok ? 'ok    ' : 'FAILED'}  ${check.name}`, check.found])),
      '',
      ok
        ? 'Everything that miStudio needs is here.'
        : 'Something that miStudio needs does not work: see above.',
    ].join('\n'),
  failed: ({ ok }) => !ok,
})

/** Runs one trial; an error is its finding. */
async function attempt(name: string, trial: () => Promise<Omit<Check, 'name' | 'ok'>>): Promise<Check> {
  try {
    return { name, ok: true, ...(await trial()) }
  } catch (error) {
    return { name, ok: false, found: error instanceof Error ? error.message : String(error) }
  }
}

function node(): Check {
  const { version, execPath, platform, arch } = process
  const values = { version, path: execPath, platform, arch }
  return {
    name: 'Node',
    ok: Number.parseInt(version.slice(1), 10) >= 24,
    found: `${version} at ${execPath}`,
    values,
  }
}

function processor(): Check {
  const model = cpus()[0]?.model.trim() || 'unknown'
  const cores = availableParallelism()
  const flags = processorFlags()
  const known = flags === null ? 'SIMD unknown' : flags.join(' ') || 'no SIMD that we know of'
  return {
    name: 'processor',
    ok: true,
    found: `${model}, ${cores} cores, ${known}`,
    values: { model, cores, flags },
  }
}

/** Linux says; elsewhere we do not ask another program. */
function processorFlags(): string[] | null {
  if (process.platform !== 'linux') return null
  try {
    const line = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? ''
    const all = new Set(line.split(' '))
    return watchedFlags.filter(flag => all.has(flag))
  } catch {
    return null
  }
}

function memory(): Check {
  const limit = process.constrainedMemory()
  const total = limit > 0 ? Math.min(limit, totalmem()) : totalmem()
  const available = process.availableMemory() || freemem()
  return {
    name: 'memory',
    ok: true,
    found: `${bytes(total)}, ${bytes(available)} free`,
    values: { total_bytes: total, available_bytes: available },
  }
}

/** Runs a kernel in every worker over a shared memory and checks what it wrote. */
async function kernels(pool: WorkerPool | undefined): Promise<Omit<Check, 'name' | 'ok'>> {
  if (pool === undefined) throw new Error('there are no worker pool to run them')
  const dIn = 64
  const shared = await pool.memory({ bytes: 8192 + pool.count * dIn * 8 })
  try {
    const rows = shared.alloc(pool.count * dIn * 4)
    const centre = shared.alloc(dIn * 4)
    const out = shared.alloc(pool.count * dIn * 4)
    shared.f32(rows, pool.count * dIn).fill(3)
    shared.f32(centre, dIn).fill(1)
    const task = (i: number) => [
      {
        kernel: 'centreRows',
        memory: shared.id,
        args: [rows + i * dIn * 4, centre, 1, dIn, out + i * dIn * 4],
      },
    ]
    await pool.run(Array.from({ length: pool.count }, (_, i) => task(i)))
    if (shared.f32(out, pool.count * dIn).some(value => value !== 2)) {
      throw new Error('a kernel computed something wrong')
    }
    return { found: 'WebAssembly SIMD and threads work' }
  } finally {
    await pool.release(shared)
  }
}

async function onnxRuntime(pool: WorkerPool | undefined): Promise<Omit<Check, 'name' | 'ok'>> {
  const { gemmSpeed } = await import('@mistudio/tensor')
  const { env } = await import('onnxruntime-node')
  if (pool === undefined) throw new Error('there are no worker pool to run it')
  const speed = await gemmSpeed({ pool })
  const version = env.versions.node ?? env.versions.common
  return {
    found: `${version}; float32 matrix product with ${pool.count} threads: ${figure(speed)} GFLOP/s`,
    values: { version, threads: pool.count, gemm_gflops: speed },
  }
}

async function duckdb(): Promise<Omit<Check, 'name' | 'ok'>> {
  const { DuckDBInstance } = await import('@duckdb/node-api')
  const instance = await DuckDBInstance.create(':memory:')
  try {
    const connection = await instance.connect()
    const reader = await connection.runAndReadAll('select version()')
    const version = String(reader.getRows()[0][0])
    connection.closeSync()
    return { found: version, values: { version } }
  } finally {
    instance.closeSync()
  }
}

function folder(dataDir: string): Omit<Check, 'name' | 'ok'> {
  const path = writableFolder({ path: dataDir, field: '--data-dir' })
  const { bavail, bsize } = statfsSync(path)
  const free = bavail * bsize
  return { found: `${path}, ${bytes(free)} free`, values: { path, free_bytes: free } }
}
